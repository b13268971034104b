// Contexts and streams that go away: what we know about their streams goes with them.
#include "hooks/hooks.h"
#include "residency/residency.h"
#include "runtime/runtime.h"
#include "streams/streams.h"

namespace loretoken::hooks {
namespace {

template <class Real>
CUresult destroy_context(Real real, CUcontext context) {
  if (Runtime* runtime = Runtime::get(); runtime != nullptr && context != nullptr) runtime->context_closing(context);
  return real(context);
}

// Releasing a primary context destroys it only with its last user, which is known afterwards. Until then our threads
// keep their hands off the device.
template <class Real>
CUresult release_primary(Real real, CUdevice device) {
  Runtime* runtime = Runtime::get();
  DeviceRuntime* ours = runtime == nullptr ? nullptr : runtime->device(device);
  if (ours == nullptr) return real(device);
  const CUcontext context = ours->context;
  ours->closed.store(true, std::memory_order_release);
  ours->residency->rest();
  const CUresult result = real(device);
  unsigned flags = 0;
  int active = 0;
  if (driver().cuDevicePrimaryCtxGetState(device, &flags, &active) == CUDA_SUCCESS && active == 0) {
    runtime->context_closing(context);
  } else {
    ours->closed.store(false, std::memory_order_release);
  }
  return result;
}

template <class Real>
CUresult reset_primary(Real real, CUdevice device) {
  Runtime* runtime = Runtime::get();
  DeviceRuntime* ours = runtime == nullptr ? nullptr : runtime->device(device);
  if (ours != nullptr) runtime->context_closing(ours->context);
  return real(device);
}

template <class Real>
CUresult destroy_stream(Real real, CUstream stream) {
  if (Runtime::get() == nullptr || stream == nullptr) return real(stream);
  const bool was_capturing = streams().any_capture() && streams().capturing(streams().slot_of(stream));
  streams().stream_closing(stream);
  const CUresult result = real(stream);
  if (was_capturing) streams().capture_ended();
  return result;
}

}  // namespace

CUresult cuCtxDestroy(CUcontext context) {
  return destroy_context(driver().cuCtxDestroy, context);
}
CUresult cuCtxDestroy_v2(CUcontext context) {
  return destroy_context(driver().cuCtxDestroy_v2, context);
}
CUresult cuCtxDetach(CUcontext context) {
  return destroy_context(driver().cuCtxDetach, context);
}

CUresult cuDevicePrimaryCtxRelease(CUdevice device) {
  return release_primary(driver().cuDevicePrimaryCtxRelease, device);
}
CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  return release_primary(driver().cuDevicePrimaryCtxRelease_v2, device);
}
CUresult cuDevicePrimaryCtxReset(CUdevice device) {
  return reset_primary(driver().cuDevicePrimaryCtxReset, device);
}
CUresult cuDevicePrimaryCtxReset_v2(CUdevice device) {
  return reset_primary(driver().cuDevicePrimaryCtxReset_v2, device);
}

CUresult cuStreamDestroy(CUstream stream) {
  return destroy_stream(driver().cuStreamDestroy, stream);
}
CUresult cuStreamDestroy_v2(CUstream stream) {
  return destroy_stream(driver().cuStreamDestroy_v2, stream);
}

}  // namespace loretoken::hooks
