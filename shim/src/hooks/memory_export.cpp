// Memory of ours that leaves: to other processes, libraries, devices. What can be exported is pinned first; a peer's
// access is granted on every mapping.
#include "base/log.h"
#include "hooks/hooks.h"
#include "hooks/memory_common.h"
#include "memory/peers.h"
#include "streams/streams.h"

namespace loretoken::hooks {
namespace {

// Whose memory a context's device is, and who asks.
bool peer_devices(CUcontext peer, CUdevice* owner, CUdevice* asker) {
  if (driver().cuCtxGetDevice(asker) != CUDA_SUCCESS) return false;
  ContextScope scope(peer);
  return driver().cuCtxGetDevice(owner) == CUDA_SUCCESS;
}

}  // namespace

CUresult cuMemGetHandleForAddressRange(void* handle, CUdeviceptr dptr, size_t size, CUmemRangeHandleType type,
                                       unsigned long long flags) {
  if (const CUresult result = pin_range(dptr, size, Pin::kExported); result != CUDA_SUCCESS) return result;
  return driver().cuMemGetHandleForAddressRange(handle, dptr, size, type, flags);
}

CUresult cuMulticastBindAddr(CUmemGenericAllocationHandle multicast, size_t offset, CUdeviceptr dptr, size_t size,
                             unsigned long long flags) {
  if (const CUresult result = pin_range(dptr, size, Pin::kRegistered); result != CUDA_SUCCESS) return result;
  return driver().cuMulticastBindAddr(multicast, offset, dptr, size, flags);
}

CUresult cuIpcGetMemHandle(CUipcMemHandle* handle, CUdeviceptr dptr) {
  if (owner_of(dptr) == nullptr) return driver().cuIpcGetMemHandle(handle, dptr);
  log_warn(
      "cuIpcGetMemHandle: this memory cannot be shared with another process. Programs that need it run with "
      "LORETOKEN_MODE=off, or share through a pool made with handle types");
  return CUDA_ERROR_NOT_SUPPORTED;
}

CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned int flags) {
  const CUresult result = driver().cuCtxEnablePeerAccess(peer, flags);
  CUdevice owner = 0;
  CUdevice asker = 0;
  if (result == CUDA_SUCCESS && Runtime::get() != nullptr && peer_devices(peer, &owner, &asker)) {
    add_peer(owner, asker);
  }
  return result;
}

CUresult cuCtxDisablePeerAccess(CUcontext peer) {
  CUdevice owner = 0;
  CUdevice asker = 0;
  const bool known = peer != nullptr && Runtime::get() != nullptr && peer_devices(peer, &owner, &asker);
  const CUresult result = driver().cuCtxDisablePeerAccess(peer);
  if (result == CUDA_SUCCESS && known) remove_peer(owner, asker);
  return result;
}

}  // namespace loretoken::hooks
