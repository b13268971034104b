// cuMemAlloc and its relatives.
#include <sys/mman.h>

#include "allocate.h"
#include "api.h"
#include "array.h"
#include "board.h"
#include "capture.h"

namespace loretoken::sim {

void publish(int device) {
  board::publish_used(device, find_device(device)->memory.used());
}

std::shared_ptr<Allocation> register_allocation(uintptr_t base, uint64_t size, Kind kind,
                                                const std::shared_ptr<Context>& ctx) {
  State& s = state();
  auto allocation = std::make_shared<Allocation>();
  allocation->base = base;
  allocation->size = size;
  allocation->kind = kind;
  allocation->ctx = ctx;
  allocation->device = ctx->device;
  allocation->buffer_id = s.next_id++;
  s.allocations[base] = allocation;
  return allocation;
}

void trim_pools(int device) {
  for (auto& [key, pool] : state().pools.all())
    if (pool->device == device) pool->heap.trim(0);
}

CUresult allocate_device(Lock& lock, const std::shared_ptr<Context>& ctx, size_t bytes, Kind kind, CUdeviceptr* out) {
  Device& device = *find_device(ctx->device);
  Block block;
  if (!device.heap->alloc(bytes, block)) {
    trim_pools(ctx->device);
    if (!device.heap->alloc(bytes, block)) return CUDA_ERROR_OUT_OF_MEMORY;
  }
  publish(ctx->device);
  lock.unlock();
  device.memory.poison(block.offset, block.size);
  if (block.large) device.memory.map(block.offset, block.size);
  lock.lock();
  const auto base = reinterpret_cast<uintptr_t>(device.memory.arena() + block.offset);
  register_allocation(base, bytes, kind, ctx)->block = block;
  *out = base;
  return CUDA_SUCCESS;
}

void release(Allocation& allocation) {
  // A context that is destroyed beside a free takes the memory first.
  auto entry = state().allocations.find(allocation.base);
  if (entry == state().allocations.end() || entry->second.get() != &allocation) return;
  const auto keep = entry->second;
  Device& device = *find_device(allocation.device);
  switch (allocation.kind) {
    case Kind::kDevice:
      device.heap->free(allocation.block);
      break;
    case Kind::kPool:
      if (allocation.counted) allocation.pool->used -= allocation.size;
      allocation.pool->heap.free(allocation.block);
      break;
    case Kind::kGraph:
      device.memory.unmap(allocation.block.offset, allocation.block.size);
      device.memory.give(allocation.block.offset, allocation.block.size);
      if (allocation.charged) {
        device.graph_memory.drop(allocation.block.size);
        device.graph_memory.trim(0);
      }
      break;
    case Kind::kHost:
    case Kind::kManaged:
      munmap(reinterpret_cast<void*>(allocation.base), round_up(allocation.size, 4096));
      break;
    case Kind::kRegistered:
    case Kind::kIpc:
      break;
  }
  const int ordinal = allocation.device;
  state().allocations.erase(allocation.base);
  publish(ordinal);
}

// Plain device and host allocations die with their context.
void free_context_memory(const Context& ctx) {
  std::vector<std::shared_ptr<Allocation>> dead;
  for (auto& [base, allocation] : state().allocations)
    if (allocation->ctx.get() == &ctx && allocation->kind != Kind::kGraph) dead.push_back(allocation);
  for (auto& allocation : dead) release(*allocation);
}

}  // namespace loretoken::sim

using namespace loretoken::sim;

extern "C" {

CUresult cuMemGetInfo_v2(size_t* free, size_t* total) {
  SIM_API_LOCKED(cuMemGetInfo_v2, kContext);
  DeviceMemory& memory = find_device(api.ctx->device)->memory;
  if (free) *free = memory.capacity() - memory.used();
  if (total) *total = memory.capacity();
  return CUDA_SUCCESS;
}

CUresult cuMemAlloc_v2(CUdeviceptr* out, size_t bytes) {
  SIM_API_LOCKED(cuMemAlloc_v2, kContext);
  if (!out || !bytes) return CUDA_ERROR_INVALID_VALUE;
  if (CUresult error = refuse_unsafe_call()) return error;
  return allocate_device(lock, api.ctx, bytes, Kind::kDevice, out);
}

CUresult cuMemAllocPitch_v2(CUdeviceptr* out, size_t* pitch, size_t width, size_t height, unsigned int element) {
  SIM_API_LOCKED(cuMemAllocPitch_v2, kContext);
  if (!out || !pitch || !width || !height || (element != 4 && element != 8 && element != 16))
    return CUDA_ERROR_INVALID_VALUE;
  if (CUresult error = refuse_unsafe_call()) return error;
  *pitch = round_up(width, 512);
  return allocate_device(lock, api.ctx, *pitch * height, Kind::kDevice, out);
}

CUresult cuMemFree_v2(CUdeviceptr address) {
  if (!address) {
    SIM_API(cuMemFree_v2, kInit);
    return CUDA_SUCCESS;
  }
  SIM_API_LOCKED(cuMemFree_v2, kContext);
  auto allocation = find_allocation(address);
  if (!allocation || allocation->base != address || allocation->free_queued || allocation->kind == Kind::kHost ||
      allocation->kind == Kind::kRegistered || allocation->kind == Kind::kIpc)
    return CUDA_ERROR_INVALID_VALUE;
  if (CUresult error = refuse_unsafe_call()) return error;
  const bool graph = allocation->kind == Kind::kGraph;
  if (graph && !allocation->live) return CUDA_ERROR_INVALID_VALUE;
  allocation->free_queued = !graph;
  allocation->live = false;
  wait(lock, pending_of_device(allocation->device));
  if (graph) {
    // The graph may make it again; its address stays taken.
    find_device(allocation->device)->memory.unmap(allocation->block.offset, allocation->block.size);
    return CUDA_SUCCESS;
  }
  // The driver does not take memory that is freed this way out of its pool's used bytes.
  allocation->counted = false;
  release(*allocation);
  return CUDA_SUCCESS;
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr* base, size_t* size, CUdeviceptr address) {
  SIM_API_LOCKED(cuMemGetAddressRange_v2, kContext);
  if (auto allocation = find_allocation(address)) {
    if (base) *base = allocation->base;
    if (size) *size = allocation->size;
    return CUDA_SUCCESS;
  }
  if (Mapping* mapping = find_mapping(address); mapping && mapping->accessible()) {
    if (base) *base = mapping->base;
    if (size) *size = mapping->size;
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_NOT_FOUND;
}

CUresult cuMemAllocManaged(CUdeviceptr* out, size_t bytes, unsigned int flags) {
  SIM_API_LOCKED(cuMemAllocManaged, kContext);
  if (!out || !bytes || (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST)) return CUDA_ERROR_INVALID_VALUE;
  if (CUresult error = refuse_unsafe_call()) return error;
  // Host memory that both sides reach; pages move between the two at will, so it does not count against the card.
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
  register_allocation(reinterpret_cast<uintptr_t>(memory), bytes, Kind::kManaged, api.ctx);
  *out = reinterpret_cast<CUdeviceptr>(memory);
  return CUDA_SUCCESS;
}

}  // extern "C"
