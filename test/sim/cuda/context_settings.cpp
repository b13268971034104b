// Limits and settings of contexts, access between devices.
#include "api.h"
#include "capture.h"

using namespace loretoken::sim;

extern "C" {

CUresult cuCtxSetLimit(CUlimit limit, size_t value) {
  SIM_API_LOCKED(cuCtxSetLimit, kContext);
  auto it = api.ctx->limits.find(limit);
  if (it == api.ctx->limits.end())
    return limit < CU_LIMIT_MAX ? CUDA_ERROR_UNSUPPORTED_LIMIT : CUDA_ERROR_INVALID_VALUE;
  if (CUresult error = refuse_unsafe_call()) return error;
  it->second = value;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetLimit(size_t* value, CUlimit limit) {
  SIM_API_LOCKED(cuCtxGetLimit, kContext);
  auto it = api.ctx->limits.find(limit);
  if (!value) return CUDA_ERROR_INVALID_VALUE;
  if (it == api.ctx->limits.end())
    return limit < CU_LIMIT_MAX ? CUDA_ERROR_UNSUPPORTED_LIMIT : CUDA_ERROR_INVALID_VALUE;
  *value = it->second;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetCacheConfig(CUfunc_cache* config) {
  SIM_API(cuCtxGetCacheConfig, kContext);
  if (!config) return CUDA_ERROR_INVALID_VALUE;
  *config = CU_FUNC_CACHE_PREFER_NONE;
  return CUDA_SUCCESS;
}

CUresult cuCtxSetCacheConfig(CUfunc_cache) {
  SIM_API(cuCtxSetCacheConfig, kContext);
  return CUDA_SUCCESS;
}

CUresult cuCtxGetSharedMemConfig(CUsharedconfig* config) {
  SIM_API(cuCtxGetSharedMemConfig, kContext);
  if (!config) return CUDA_ERROR_INVALID_VALUE;
  *config = CU_SHARED_MEM_CONFIG_FOUR_BYTE_BANK_SIZE;
  return CUDA_SUCCESS;
}

CUresult cuCtxSetSharedMemConfig(CUsharedconfig) {
  SIM_API(cuCtxSetSharedMemConfig, kContext);
  return CUDA_SUCCESS;
}

CUresult cuCtxResetPersistingL2Cache(void) {
  SIM_API(cuCtxResetPersistingL2Cache, kContext);
  return CUDA_SUCCESS;
}

CUresult cuCtxGetStreamPriorityRange(int* least, int* greatest) {
  SIM_API(cuCtxGetStreamPriorityRange, kContext);
  if (least) *least = 0;
  if (greatest) *greatest = -5;
  return CUDA_SUCCESS;
}

CUresult cuDeviceCanAccessPeer(int* can, CUdevice device, CUdevice peer) {
  SIM_API_LOCKED(cuDeviceCanAccessPeer, kInit);
  if (!can) return CUDA_ERROR_INVALID_VALUE;
  if (!find_device(device) || !find_device(peer)) return CUDA_ERROR_INVALID_DEVICE;
  *can = device != peer;
  return CUDA_SUCCESS;
}

CUresult cuCtxEnablePeerAccess(CUcontext handle, unsigned int flags) {
  SIM_API_LOCKED(cuCtxEnablePeerAccess, kContext);
  auto peer = state().contexts.find(handle);
  if (!peer || peer == api.ctx) return CUDA_ERROR_INVALID_CONTEXT;
  if (flags) return CUDA_ERROR_INVALID_VALUE;
  if (peer->device == api.ctx->device) return CUDA_ERROR_PEER_ACCESS_UNSUPPORTED;
  return api.ctx->peers.insert(peer.get()).second ? CUDA_SUCCESS : CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED;
}

CUresult cuCtxDisablePeerAccess(CUcontext handle) {
  SIM_API_LOCKED(cuCtxDisablePeerAccess, kContext);
  auto peer = state().contexts.find(handle);
  if (!peer) return CUDA_ERROR_INVALID_CONTEXT;
  return api.ctx->peers.erase(peer.get()) ? CUDA_SUCCESS : CUDA_ERROR_PEER_ACCESS_NOT_ENABLED;
}

}  // extern "C"
