// Legacy IPC handles, within one process, and advice about managed memory.
#include <cstring>

#include "api.h"
#include "capture.h"

using namespace loretoken::sim;

namespace {

struct IpcContent {
  uint64_t magic;
  CUdeviceptr base;
  uint64_t buffer_id;
};
constexpr uint64_t kMagic = 0x6c742d73696d2d31ull;

std::shared_ptr<Allocation> managed_at(CUdeviceptr address, size_t bytes) {
  auto found = find_allocation(address);
  if (!found || found->kind != Kind::kManaged || address + bytes > found->base + found->size) return nullptr;
  return found;
}

}  // namespace

extern "C" {

CUresult cuIpcGetMemHandle(CUipcMemHandle* out, CUdeviceptr address) {
  SIM_API_LOCKED(cuIpcGetMemHandle, kContext);
  auto found = find_allocation(address);
  if (!out || !found || found->kind != Kind::kDevice) return CUDA_ERROR_INVALID_VALUE;
  const IpcContent content{kMagic, found->base, found->buffer_id};
  std::memset(out, 0, sizeof *out);
  std::memcpy(out, &content, sizeof content);
  return CUDA_SUCCESS;
}

// A process cannot open its own handles; memory of other processes is not reachable here.
CUresult cuIpcOpenMemHandle_v2(CUdeviceptr* out, CUipcMemHandle handle, unsigned int flags) {
  SIM_API_LOCKED(cuIpcOpenMemHandle_v2, kContext);
  IpcContent content{};
  std::memcpy(&content, &handle, sizeof content);
  if (!out || flags != CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS) return CUDA_ERROR_INVALID_VALUE;
  return content.magic == kMagic ? CUDA_ERROR_INVALID_CONTEXT : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuIpcOpenMemHandle(CUdeviceptr* out, CUipcMemHandle handle, unsigned int flags) {
  return cuIpcOpenMemHandle_v2(out, handle, flags);
}

CUresult cuIpcCloseMemHandle(CUdeviceptr) {
  SIM_API_LOCKED(cuIpcCloseMemHandle, kContext);
  return CUDA_ERROR_INVALID_VALUE;
}

CUresult cuIpcGetEventHandle(CUipcEventHandle* out, CUevent handle) {
  SIM_API_LOCKED(cuIpcGetEventHandle, kContext);
  auto event = state().events.find(handle);
  if (!event) return CUDA_ERROR_INVALID_HANDLE;
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  if (!(event->flags & CU_EVENT_INTERPROCESS)) return CUDA_ERROR_INVALID_HANDLE;
  std::memset(out, 0, sizeof *out);
  std::memcpy(out, &handle, sizeof handle);
  return CUDA_SUCCESS;
}

CUresult cuMemAdvise_v2(CUdeviceptr address, size_t bytes, CUmem_advise, CUmemLocation) {
  SIM_API_LOCKED(cuMemAdvise_v2, kContext);
  return managed_at(address, bytes) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemAdvise(CUdeviceptr address, size_t bytes, CUmem_advise advice, CUdevice device) {
  return cuMemAdvise_v2(address, bytes, advice, {CU_MEM_LOCATION_TYPE_DEVICE, device});
}

CUresult cuMemPrefetchAsync_v2(CUdeviceptr address, size_t bytes, CUmemLocation, unsigned int flags, CUstream handle) {
  SIM_API_LOCKED(cuMemPrefetchAsync_v2, kContext);
  auto stream = find_stream(*api.ctx, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (flags || !managed_at(address, bytes)) return CUDA_ERROR_INVALID_VALUE;
  return submit(lock, stream, EmptyBody{});
}

CUresult cuMemPrefetchAsync(CUdeviceptr address, size_t bytes, CUdevice device, CUstream stream) {
  return cuMemPrefetchAsync_v2(address, bytes, {CU_MEM_LOCATION_TYPE_DEVICE, device}, 0, stream);
}

}  // extern "C"
