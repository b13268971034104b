// Pinned host memory. The device reaches it at its host address.
#include <sys/mman.h>

#include "allocate.h"
#include "api.h"
#include "capture.h"

using namespace loretoken::sim;

namespace {

CUresult allocate_host(const std::shared_ptr<Context>& ctx, void** out, size_t bytes, unsigned flags) {
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  if (flags & ~(CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_WRITECOMBINED))
    return CUDA_ERROR_INVALID_VALUE;
  if (CUresult error = refuse_unsafe_call()) return error;
  *out = nullptr;
  if (!bytes) return CUDA_SUCCESS;
  void* memory = mmap(nullptr, round_up(bytes, 4096), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
  register_allocation(reinterpret_cast<uintptr_t>(memory), bytes, Kind::kHost, ctx)->flags =
      flags | CU_MEMHOSTALLOC_DEVICEMAP;
  *out = memory;
  return CUDA_SUCCESS;
}

std::shared_ptr<Allocation> find_host(const void* host) {
  auto found = find_allocation(reinterpret_cast<uintptr_t>(host));
  return found && (found->kind == Kind::kHost || found->kind == Kind::kRegistered) ? found : nullptr;
}

}  // namespace

extern "C" {

CUresult cuMemAllocHost_v2(void** out, size_t bytes) {
  SIM_API_LOCKED(cuMemAllocHost_v2, kContext);
  return allocate_host(api.ctx, out, bytes, 0);
}

CUresult cuMemHostAlloc(void** out, size_t bytes, unsigned int flags) {
  SIM_API_LOCKED(cuMemHostAlloc, kContext);
  return allocate_host(api.ctx, out, bytes, flags);
}

CUresult cuMemFreeHost(void* host) {
  SIM_API_LOCKED(cuMemFreeHost, kContext);
  if (!host) return CUDA_SUCCESS;
  auto found = find_host(host);
  if (!found || found->kind != Kind::kHost || found->base != reinterpret_cast<uintptr_t>(host) || found->free_queued)
    return CUDA_ERROR_INVALID_VALUE;
  if (CUresult error = refuse_unsafe_call()) return error;
  found->free_queued = true;
  wait(lock, pending_of_device(found->device));
  release(*found);
  return CUDA_SUCCESS;
}

CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr* out, void* host, unsigned int flags) {
  SIM_API_LOCKED(cuMemHostGetDevicePointer_v2, kContext);
  if (!out || flags) return CUDA_ERROR_INVALID_VALUE;
  if (!find_host(host)) return CUDA_ERROR_INVALID_VALUE;
  *out = reinterpret_cast<CUdeviceptr>(host);
  return CUDA_SUCCESS;
}

CUresult cuMemHostGetFlags(unsigned int* flags, void* host) {
  SIM_API_LOCKED(cuMemHostGetFlags, kContext);
  auto found = find_host(host);
  if (!flags || !found || found->kind != Kind::kHost) return CUDA_ERROR_INVALID_VALUE;
  *flags = found->flags;
  return CUDA_SUCCESS;
}

CUresult cuMemHostRegister_v2(void* host, size_t bytes, unsigned int flags) {
  SIM_API_LOCKED(cuMemHostRegister_v2, kContext);
  if (!host || !bytes) return CUDA_ERROR_INVALID_VALUE;
  if (flags & ~(CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP | CU_MEMHOSTREGISTER_READ_ONLY))
    return flags & CU_MEMHOSTREGISTER_IOMEMORY ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
  if (CUresult error = refuse_unsafe_call()) return error;
  const auto base = reinterpret_cast<uintptr_t>(host);
  auto next = state().allocations.lower_bound(base);
  const bool overlaps = find_allocation(base) || (next != state().allocations.end() && next->first < base + bytes);
  if (overlaps) return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
  register_allocation(base, bytes, Kind::kRegistered, api.ctx)->flags = flags;
  return CUDA_SUCCESS;
}

CUresult cuMemHostRegister(void* host, size_t bytes, unsigned int flags) {
  return cuMemHostRegister_v2(host, bytes, flags);
}

CUresult cuMemHostUnregister(void* host) {
  SIM_API_LOCKED(cuMemHostUnregister, kContext);
  auto found = find_allocation(reinterpret_cast<uintptr_t>(host));
  if (!host) return CUDA_ERROR_INVALID_VALUE;
  if (!found || found->kind != Kind::kRegistered) return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
  if (found->base != reinterpret_cast<uintptr_t>(host)) return CUDA_ERROR_INVALID_VALUE;
  if (CUresult error = refuse_unsafe_call()) return error;
  found->free_queued = true;
  wait(lock, pending_of_device(found->device));
  release(*found);
  return CUDA_SUCCESS;
}

}  // extern "C"
