// Pinned and registered host memory: the driver's, remembered because it may hold addresses of ours.
#include "hooks/hooks.h"
#include "reach/host_ranges.h"
#include "runtime/runtime.h"

namespace loretoken::hooks {
namespace {

void remember(void* host, size_t bytes) {
  if (Runtime::get() == nullptr || host == nullptr || bytes == 0) return;
  const auto address = reinterpret_cast<uint64_t>(host);
  CUdeviceptr alias = 0;
  if (driver().cuMemHostGetDevicePointer_v2(&alias, host, 0) != CUDA_SUCCESS) alias = address;
  known_range_add(address, alias, bytes, RangeKind::kPinned);
}

// The range goes before the memory does: it is read by the CPU at launches.
template <class Release>
CUresult release(void* host, Release&& real) {
  if (Runtime::get() == nullptr) return real(host);
  const auto address = reinterpret_cast<uint64_t>(host);
  const std::optional<KnownRange> range = known_range_at(address);
  const bool known = known_range_remove(address);
  const CUresult result = real(host);
  if (result != CUDA_SUCCESS && known && range) remember(host, range->bytes);
  return result;
}

template <class Register>
CUresult register_host(Register&& real, void* p, size_t bytesize, unsigned int flags) {
  const CUresult result = real(p, bytesize, flags);
  // Memory of another device: the CPU must not read it, and no pointer of ours is put there by the CPU.
  if (result == CUDA_SUCCESS && (flags & CU_MEMHOSTREGISTER_IOMEMORY) == 0) remember(p, bytesize);
  return result;
}

}  // namespace

CUresult cuMemAllocHost(void** pp, unsigned int bytesize) {
  const CUresult result = driver().cuMemAllocHost(pp, bytesize);
  if (result == CUDA_SUCCESS) remember(*pp, bytesize);
  return result;
}

CUresult cuMemAllocHost_v2(void** pp, size_t bytesize) {
  const CUresult result = driver().cuMemAllocHost_v2(pp, bytesize);
  if (result == CUDA_SUCCESS) remember(*pp, bytesize);
  return result;
}

CUresult cuMemHostAlloc(void** pp, size_t bytesize, unsigned int flags) {
  const CUresult result = driver().cuMemHostAlloc(pp, bytesize, flags);
  if (result == CUDA_SUCCESS) remember(*pp, bytesize);
  return result;
}

CUresult cuMemFreeHost(void* p) {
  return release(p, driver().cuMemFreeHost);
}

CUresult cuMemHostRegister(void* p, size_t bytesize, unsigned int flags) {
  return register_host(driver().cuMemHostRegister, p, bytesize, flags);
}

CUresult cuMemHostRegister_v2(void* p, size_t bytesize, unsigned int flags) {
  return register_host(driver().cuMemHostRegister_v2, p, bytesize, flags);
}

CUresult cuMemHostUnregister(void* p) {
  return release(p, driver().cuMemHostUnregister);
}

}  // namespace loretoken::hooks
