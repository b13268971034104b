// cuMemcpy*: one-dimensional copies.
#include "api.h"
#include "copy.h"

using namespace loretoken::sim;

namespace {

CUresult copy_1d(ApiCall& api, CUdeviceptr target, CUmemorytype target_type, CUdeviceptr source,
                 CUmemorytype source_type, size_t bytes, CUstream handle, Blocking blocking) {
  Lock lock(state().mutex);
  auto stream = find_stream(*api.ctx, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!bytes) return CUDA_SUCCESS;
  CopyBody copy = linear_copy(target, source, bytes);
  // A side said to be on the device must be known to the driver; a host side may be anything.
  copy.shape.dstMemoryType = target_type;
  copy.shape.srcMemoryType = source_type;
  if (target_type == CU_MEMORYTYPE_HOST) copy.shape.dstHost = reinterpret_cast<void*>(target);
  if (source_type == CU_MEMORYTYPE_HOST) copy.shape.srcHost = reinterpret_cast<const void*>(source);
  return submit_copy(lock, stream, std::move(copy), blocking);
}

CUdeviceptr address(const void* host) {
  return reinterpret_cast<CUdeviceptr>(host);
}

constexpr CUmemorytype kHost = CU_MEMORYTYPE_HOST, kDevice = CU_MEMORYTYPE_DEVICE, kUnified = CU_MEMORYTYPE_UNIFIED;

CUresult check_contexts(CUcontext one, CUcontext two) {
  Lock lock(state().mutex);
  const bool living = state().contexts.find(one) && state().contexts.find(two);
  return living ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

}  // namespace

extern "C" {

CUresult cuMemcpy(CUdeviceptr target, CUdeviceptr source, size_t bytes) {
  SIM_API(cuMemcpy, kContext);
  return copy_1d(api, target, kUnified, source, kUnified, bytes, nullptr, Blocking::kSync);
}

CUresult cuMemcpyAsync(CUdeviceptr target, CUdeviceptr source, size_t bytes, CUstream stream) {
  SIM_API(cuMemcpyAsync, kContext);
  return copy_1d(api, target, kUnified, source, kUnified, bytes, stream, Blocking::kAsync);
}

CUresult cuMemcpyHtoD_v2(CUdeviceptr target, const void* source, size_t bytes) {
  SIM_API(cuMemcpyHtoD_v2, kContext);
  return copy_1d(api, target, kDevice, address(source), kHost, bytes, nullptr, Blocking::kSync);
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr target, const void* source, size_t bytes, CUstream stream) {
  SIM_API(cuMemcpyHtoDAsync_v2, kContext);
  return copy_1d(api, target, kDevice, address(source), kHost, bytes, stream, Blocking::kAsync);
}

CUresult cuMemcpyDtoH_v2(void* target, CUdeviceptr source, size_t bytes) {
  SIM_API(cuMemcpyDtoH_v2, kContext);
  return copy_1d(api, address(target), kHost, source, kDevice, bytes, nullptr, Blocking::kSync);
}

CUresult cuMemcpyDtoHAsync_v2(void* target, CUdeviceptr source, size_t bytes, CUstream stream) {
  SIM_API(cuMemcpyDtoHAsync_v2, kContext);
  return copy_1d(api, address(target), kHost, source, kDevice, bytes, stream, Blocking::kAsync);
}

CUresult cuMemcpyDtoD_v2(CUdeviceptr target, CUdeviceptr source, size_t bytes) {
  SIM_API(cuMemcpyDtoD_v2, kContext);
  return copy_1d(api, target, kDevice, source, kDevice, bytes, nullptr, Blocking::kSync);
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr target, CUdeviceptr source, size_t bytes, CUstream stream) {
  SIM_API(cuMemcpyDtoDAsync_v2, kContext);
  return copy_1d(api, target, kDevice, source, kDevice, bytes, stream, Blocking::kAsync);
}

CUresult cuMemcpyPeer(CUdeviceptr target, CUcontext to, CUdeviceptr source, CUcontext from, size_t bytes) {
  SIM_API(cuMemcpyPeer, kContext);
  if (CUresult error = check_contexts(to, from)) return error;
  return copy_1d(api, target, kDevice, source, kDevice, bytes, nullptr, Blocking::kSync);
}

CUresult cuMemcpyPeerAsync(CUdeviceptr target, CUcontext to, CUdeviceptr source, CUcontext from, size_t bytes,
                           CUstream stream) {
  SIM_API(cuMemcpyPeerAsync, kContext);
  if (CUresult error = check_contexts(to, from)) return error;
  return copy_1d(api, target, kDevice, source, kDevice, bytes, stream, Blocking::kAsync);
}

}  // extern "C"
