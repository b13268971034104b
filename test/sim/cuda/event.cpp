// Events.
#include "api.h"
#include "capture.h"

using namespace loretoken::sim;

namespace {

constexpr unsigned kKnownEventFlags = CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS;

CUresult refuse_captured_event(Event& event) {
  if (!event.capture) return CUDA_SUCCESS;
  event.capture->invalid = true;
  return CUDA_ERROR_CAPTURED_EVENT;
}

CUresult record(ApiCall& api, CUevent event_handle, CUstream stream_handle, unsigned flags) {
  Lock lock(state().mutex);
  auto event = state().events.find(event_handle);
  auto stream = find_stream(*api.ctx, stream_handle);
  if (!event || !stream) return CUDA_ERROR_INVALID_HANDLE;
  return record_event(lock, event, stream, flags);
}

}  // namespace

extern "C" {

CUresult cuEventCreate(CUevent* out, unsigned int flags) {
  SIM_API_LOCKED(cuEventCreate, kContext);
  if (!out || flags & ~kKnownEventFlags) return CUDA_ERROR_INVALID_VALUE;
  if ((flags & CU_EVENT_INTERPROCESS) && !(flags & CU_EVENT_DISABLE_TIMING)) return CUDA_ERROR_INVALID_VALUE;
  auto event = std::make_shared<Event>();
  event->ctx = api.ctx;
  event->flags = flags;
  state().events.add(event);
  *out = as_handle<CUevent>(event.get());
  return CUDA_SUCCESS;
}

CUresult cuEventDestroy_v2(CUevent handle) {
  SIM_API_LOCKED(cuEventDestroy_v2, kContext);
  return state().events.remove(handle) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuEventDestroy(CUevent event) {
  return cuEventDestroy_v2(event);
}

CUresult cuEventRecord(CUevent event, CUstream stream) {
  SIM_API(cuEventRecord, kContext);
  return record(api, event, stream, CU_EVENT_RECORD_DEFAULT);
}

CUresult cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned int flags) {
  SIM_API(cuEventRecordWithFlags, kContext);
  return record(api, event, stream, flags);
}

CUresult cuStreamWaitEvent(CUstream stream_handle, CUevent event_handle, unsigned int flags) {
  SIM_API_LOCKED(cuStreamWaitEvent, kContext);
  auto event = state().events.find(event_handle);
  auto stream = find_stream(*api.ctx, stream_handle);
  if (!event || !stream) return CUDA_ERROR_INVALID_HANDLE;
  return wait_event(lock, stream, event, flags);
}

CUresult cuEventQuery(CUevent handle) {
  SIM_API_LOCKED(cuEventQuery, kContext);
  auto event = state().events.find(handle);
  if (!event) return CUDA_ERROR_INVALID_HANDLE;
  if (CUresult error = refuse_captured_event(*event)) return error;
  if (CUresult error = refuse_unsafe_call()) return error;
  return !event->last || event->last->done ? event->ctx->sticky : CUDA_ERROR_NOT_READY;
}

CUresult cuEventSynchronize(CUevent handle) {
  SIM_API_LOCKED(cuEventSynchronize, kContext);
  auto event = state().events.find(handle);
  if (!event) return CUDA_ERROR_INVALID_HANDLE;
  if (CUresult error = refuse_captured_event(*event)) return error;
  if (CUresult error = refuse_unsafe_call()) return error;
  wait(lock, std::shared_ptr<Marker>(event->last));
  return event->ctx->sticky;
}

CUresult cuEventElapsedTime_v2(float* out, CUevent from, CUevent to) {
  SIM_API_LOCKED(cuEventElapsedTime_v2, kContext);
  auto start = state().events.find(from), end = state().events.find(to);
  if (!out || !start || !end || !start->last || !end->last) return CUDA_ERROR_INVALID_HANDLE;
  if ((start->flags | end->flags) & CU_EVENT_DISABLE_TIMING) return CUDA_ERROR_INVALID_HANDLE;
  if (!start->last->done || !end->last->done) return CUDA_ERROR_NOT_READY;
  const auto ns = static_cast<double>(static_cast<int64_t>(end->last->time_ns - start->last->time_ns));
  *out = static_cast<float>(ns / 1e6);
  return CUDA_SUCCESS;
}

CUresult cuEventElapsedTime(float* out, CUevent from, CUevent to) {
  return cuEventElapsedTime_v2(out, from, to);
}

CUresult cuCtxRecordEvent(CUcontext handle, CUevent event_handle) {
  SIM_API_LOCKED(cuCtxRecordEvent, kInit);
  auto ctx = state().contexts.find(handle);
  auto event = state().events.find(event_handle);
  if (!ctx) return CUDA_ERROR_INVALID_CONTEXT;
  if (!event || event->ctx != ctx) return CUDA_ERROR_INVALID_HANDLE;
  if (CUresult error = refuse_captured(*ctx)) return error;
  // A stream of its own gathers the tails of all others.
  auto stream = make_stream(ctx, CU_STREAM_NON_BLOCKING, 0);
  stream->destroyed = true;
  event->capture.reset();
  event->last = enqueue(lock, stream, EmptyBody{}, pending_of(*ctx));
  return CUDA_SUCCESS;
}

CUresult cuCtxWaitEvent(CUcontext handle, CUevent event_handle) {
  SIM_API_LOCKED(cuCtxWaitEvent, kInit);
  auto ctx = state().contexts.find(handle);
  auto event = state().events.find(event_handle);
  if (!ctx) return CUDA_ERROR_INVALID_CONTEXT;
  if (!event) return CUDA_ERROR_INVALID_HANDLE;
  if (CUresult error = refuse_captured(*ctx)) return error;
  const auto streams = ctx->streams;
  for (auto& stream : streams)
    if (event->last && !event->last->done && !stream->destroyed) enqueue(lock, stream, EmptyBody{}, {event->last});
  return CUDA_SUCCESS;
}

}  // extern "C"
