// Streams.
#include "api.h"
#include "capture.h"

using namespace loretoken::sim;

namespace {

constexpr int kGreatestPriority = -5;

CUresult create(const std::shared_ptr<Context>& ctx, CUstream* out, unsigned flags, int priority) {
  if (!out || flags > CU_STREAM_NON_BLOCKING) return CUDA_ERROR_INVALID_VALUE;
  auto stream = make_stream(ctx, flags, std::max(kGreatestPriority, std::min(0, priority)));
  state().streams.add(stream);
  *out = as_handle<CUstream>(stream.get());
  return CUDA_SUCCESS;
}

void trim_to_thresholds(int device) {
  for (auto& [key, pool] : state().pools.all())
    if (pool->device == device) pool->heap.trim(pool->threshold);
}

}  // namespace

extern "C" {

CUresult cuStreamCreate(CUstream* out, unsigned int flags) {
  SIM_API_LOCKED(cuStreamCreate, kContext);
  return create(api.ctx, out, flags, 0);
}

CUresult cuStreamCreateWithPriority(CUstream* out, unsigned int flags, int priority) {
  SIM_API_LOCKED(cuStreamCreateWithPriority, kContext);
  return create(api.ctx, out, flags, priority);
}

CUresult cuStreamDestroy_v2(CUstream handle) {
  SIM_API_LOCKED(cuStreamDestroy_v2, kContext);
  auto stream = state().streams.find(handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture) stream->capture->invalid = true;
  state().streams.remove(handle);
  stream->destroyed = true;
  if (stream->queue.empty() && !stream->running) stream->ctx->streams.remove(stream);
  return CUDA_SUCCESS;
}

CUresult cuStreamDestroy(CUstream stream) {
  return cuStreamDestroy_v2(stream);
}

CUresult cuStreamSynchronize(CUstream handle) {
  SIM_API_LOCKED(cuStreamSynchronize, kContext);
  auto stream = find_stream(*api.ctx, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (CUresult error = refuse_captured(*stream)) return error;
  if (CUresult error = refuse_unsafe_call()) return error;
  Markers markers{stream->tail};
  // The legacy stream stands for all blocking streams.
  if (stream->legacy)
    for (auto& other : stream->ctx->streams)
      if (other->blocking()) markers.push_back(other->tail);
  auto ctx = stream->ctx;
  wait(lock, markers);
  trim_to_thresholds(ctx->device);
  return ctx->sticky;
}

CUresult cuStreamQuery(CUstream handle) {
  SIM_API_LOCKED(cuStreamQuery, kContext);
  auto stream = find_stream(*api.ctx, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (CUresult error = refuse_captured(*stream)) return error;
  if (CUresult error = refuse_unsafe_call()) return error;
  bool done = !stream->tail || stream->tail->done;
  if (stream->legacy)
    for (auto& other : stream->ctx->streams)
      if (other->blocking() && other->tail && !other->tail->done) done = false;
  if (!done) return CUDA_ERROR_NOT_READY;
  return stream->ctx->sticky;
}

CUresult cuStreamGetPriority(CUstream handle, int* priority) {
  SIM_API_LOCKED(cuStreamGetPriority, kContext);
  auto stream = find_stream(*api.ctx, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!priority) return CUDA_ERROR_INVALID_VALUE;
  *priority = stream->priority;
  return CUDA_SUCCESS;
}

CUresult cuStreamGetFlags(CUstream handle, unsigned int* flags) {
  SIM_API_LOCKED(cuStreamGetFlags, kContext);
  auto stream = find_stream(*api.ctx, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!flags) return CUDA_ERROR_INVALID_VALUE;
  *flags = stream->flags;
  return CUDA_SUCCESS;
}

CUresult cuStreamGetId(CUstream handle, unsigned long long* id) {
  SIM_API_LOCKED(cuStreamGetId, kContext);
  auto stream = find_stream(*api.ctx, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!id) return CUDA_ERROR_INVALID_VALUE;
  *id = stream->id;
  return CUDA_SUCCESS;
}

CUresult cuStreamGetCtx(CUstream handle, CUcontext* out) {
  SIM_API_LOCKED(cuStreamGetCtx, kContext);
  auto stream = find_stream(*api.ctx, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  *out = as_handle<CUcontext>(stream->ctx.get());
  return CUDA_SUCCESS;
}

CUresult cuStreamGetCtx_v2(CUstream stream, CUcontext* ctx, CUgreenCtx* green) {
  if (green) *green = nullptr;
  return cuStreamGetCtx(stream, ctx);
}

CUresult cuStreamGetDevice(CUstream handle, CUdevice* out) {
  SIM_API_LOCKED(cuStreamGetDevice, kContext);
  auto stream = find_stream(*api.ctx, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  *out = stream->ctx->device;
  return CUDA_SUCCESS;
}

CUresult cuStreamCopyAttributes(CUstream target, CUstream source) {
  SIM_API_LOCKED(cuStreamCopyAttributes, kContext);
  auto to = find_stream(*api.ctx, target), from = find_stream(*api.ctx, source);
  if (!to || !from) return CUDA_ERROR_INVALID_HANDLE;
  to->attributes = from->attributes;
  return CUDA_SUCCESS;
}

CUresult cuStreamAttachMemAsync(CUstream handle, CUdeviceptr address, size_t, unsigned int) {
  SIM_API_LOCKED(cuStreamAttachMemAsync, kContext);
  auto stream = find_stream(*api.ctx, handle);
  auto found = find_allocation(address);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!found || found->kind != Kind::kManaged) return CUDA_ERROR_INVALID_VALUE;
  return submit(lock, stream, EmptyBody{});
}

CUresult cuLaunchHostFunc(CUstream handle, CUhostFn fn, void* data) {
  SIM_API_LOCKED(cuLaunchHostFunc, kContext);
  auto stream = find_stream(*api.ctx, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!fn) return CUDA_ERROR_INVALID_VALUE;
  return submit(lock, stream, HostBody{fn, nullptr, nullptr, data});
}

CUresult cuStreamAddCallback(CUstream handle, CUstreamCallback callback, void* data, unsigned int flags) {
  SIM_API_LOCKED(cuStreamAddCallback, kContext);
  auto stream = find_stream(*api.ctx, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!callback || flags) return CUDA_ERROR_INVALID_VALUE;
  if (CUresult error = refuse_captured(*stream)) return error;
  return submit(lock, stream, HostBody{nullptr, callback, handle, data});
}

}  // extern "C"
