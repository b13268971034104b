// Stream-ordered allocation.
#include "allocate.h"
#include "api.h"
#include "capture.h"
#include "graph.h"

namespace loretoken::sim {

CUresult allocate_from_pool(Lock& lock, const std::shared_ptr<Pool>& pool, const std::shared_ptr<Context>& ctx,
                            size_t bytes, std::shared_ptr<Allocation>& out) {
  Block block;
  if (pool->max_size && pool->heap.held() + bytes > pool->max_size) return CUDA_ERROR_OUT_OF_MEMORY;
  bool got = pool->heap.alloc(bytes, block);
  if (!got) {
    for (auto& [key, other] : state().pools.all())
      if (other->device == pool->device && other != pool) other->heap.trim(0);
    got = pool->heap.alloc(bytes, block);
  }
  if (!got) {
    // Frees that are queued give memory back once they ran; the driver would order this allocation behind them.
    wait(lock, pending_of_device(pool->device));
    trim_pools(pool->device);
    got = pool->heap.alloc(bytes, block);
  }
  if (!got) return CUDA_ERROR_OUT_OF_MEMORY;
  publish(pool->device);
  DeviceMemory& memory = find_device(pool->device)->memory;
  out = register_allocation(reinterpret_cast<uintptr_t>(memory.arena() + block.offset), bytes, Kind::kPool, ctx);
  out->block = block;
  out->device = pool->device;
  out->pool = pool;
  out->counted = true;
  pool->used += bytes;
  pool->used_high = std::max(pool->used_high, pool->used);
  pool->reserved_high = std::max(pool->reserved_high, pool->heap.reserved());
  return CUDA_SUCCESS;
}

// The memory becomes reachable here, filled with the pattern: whoever comes earlier faults or sees the pattern.
void execute_alloc(const AllocBody& body) {
  const Allocation& a = *body.allocation;
  DeviceMemory& memory = find_device(a.device)->memory;
  memory.poison(a.block.offset, a.block.size);
  if (a.block.large) memory.map(a.block.offset, a.block.size);
}

// The memory is gone here: whoever comes later faults or sees the pattern.
void execute_free(const FreeBody& body) {
  Allocation& a = *body.allocation;
  DeviceMemory& memory = find_device(a.device)->memory;
  if (!a.block.large) memory.poison(a.block.offset, a.block.size);
  Lock lock(state().mutex);
  if (a.kind == Kind::kPool || a.kind == Kind::kDevice) {
    release(a);
  } else if (a.kind == Kind::kGraph) {
    memory.unmap(a.block.offset, a.block.size);
  }
}

namespace {

CUresult allocate(ApiCall& api, CUdeviceptr* out, size_t bytes, CUmemoryPool pool_handle, CUstream handle,
                  bool given_pool) {
  Lock lock(state().mutex);
  auto stream = find_stream(*api.ctx, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  auto pool = given_pool ? state().pools.find(pool_handle) : find_device(stream->ctx->device)->current_pool;
  if (!out || !pool || pool->destroyed) return CUDA_ERROR_INVALID_VALUE;
  if (!bytes) return *out = 0, CUDA_SUCCESS;
  if (stream->capture) {
    if (stream->capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    AllocBody body;
    CUmemPoolProps props{};
    props.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
    props.location = {CU_MEM_LOCATION_TYPE_DEVICE, pool->device};
    if (CUresult error = alloc_body(props, bytes, body, out)) return error;
    return submit(lock, stream, std::move(body));
  }
  if (CUresult error = refuse_implicit(*stream)) return error;
  if (CUresult error = refuse_unsafe_call()) return error;
  std::shared_ptr<Allocation> allocation;
  if (CUresult error = allocate_from_pool(lock, pool, stream->ctx, bytes, allocation)) return error;
  *out = allocation->base;
  return submit(lock, stream, AllocBody{allocation, {}});
}

}  // namespace

}  // namespace loretoken::sim

using namespace loretoken::sim;

extern "C" {

CUresult cuMemAllocAsync(CUdeviceptr* out, size_t bytes, CUstream stream) {
  SIM_API(cuMemAllocAsync, kContext);
  return allocate(api, out, bytes, nullptr, stream, false);
}

CUresult cuMemAllocFromPoolAsync(CUdeviceptr* out, size_t bytes, CUmemoryPool pool, CUstream stream) {
  SIM_API(cuMemAllocFromPoolAsync, kContext);
  return allocate(api, out, bytes, pool, stream, true);
}

CUresult cuMemFreeAsync(CUdeviceptr address, CUstream handle) {
  SIM_API_LOCKED(cuMemFreeAsync, kContext);
  auto stream = find_stream(*api.ctx, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!address) return CUDA_SUCCESS;
  auto allocation = find_allocation(address);
  if (!allocation || allocation->base != address || allocation->free_queued) return CUDA_ERROR_INVALID_VALUE;
  const bool graph = allocation->kind == Kind::kGraph;
  if (!graph && allocation->kind != Kind::kPool && allocation->kind != Kind::kDevice) return CUDA_ERROR_INVALID_VALUE;
  if (graph && !stream->capture && !allocation->live) return CUDA_ERROR_INVALID_VALUE;
  if (stream->capture && !graph) return CUDA_ERROR_INVALID_VALUE;
  if (!stream->capture)
    if (CUresult error = refuse_unsafe_call()) return error;
  if (CUresult error = submit(lock, stream, FreeBody{allocation})) return error;
  // A graph's memory can be allocated again by the next launch, and then freed again.
  if (!graph) allocation->free_queued = true;
  if (graph && !stream->capture) allocation->live = false;
  return CUDA_SUCCESS;
}

}  // extern "C"
