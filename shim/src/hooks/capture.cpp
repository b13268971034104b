// Stream capture: while it lasts, events of ours may not be recorded on captured streams, so what was queued before is
// fenced first.
#include "hooks/hooks.h"
#include "runtime/runtime.h"
#include "streams/streams.h"

namespace loretoken::hooks {
namespace {

template <class Begin>
CUresult begin(CUstream stream, bool per_thread, Begin real) {
  if (Runtime::get() == nullptr) return real();
  streams().capture_began(streams().slot_of(stream, per_thread));
  const CUresult result = real();
  if (result != CUDA_SUCCESS) streams().capture_ended();
  return result;
}

bool captures(CUstream stream, bool per_thread) {
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
  return LORETOKEN_REAL_PT(cuStreamIsCapturing, cuStreamIsCapturing_ptsz, per_thread)(stream, &status) ==
             CUDA_SUCCESS &&
         status != CU_STREAM_CAPTURE_STATUS_NONE;
}

}  // namespace

CUresult cuStreamBeginCapture(CUstream stream, bool per_thread) {
  const auto real = LORETOKEN_REAL_PT(cuStreamBeginCapture, cuStreamBeginCapture_ptsz, per_thread);
  return begin(stream, per_thread, [&] { return real(stream); });
}

CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode, bool per_thread) {
  const auto real = LORETOKEN_REAL_PT(cuStreamBeginCapture_v2, cuStreamBeginCapture_v2_ptsz, per_thread);
  return begin(stream, per_thread, [&] { return real(stream, mode); });
}

CUresult cuStreamBeginCaptureToGraph(CUstream stream, CUgraph graph, const CUgraphNode* dependencies,
                                     const CUgraphEdgeData* edges, size_t count, CUstreamCaptureMode mode,
                                     bool per_thread) {
  const auto real = LORETOKEN_REAL_PT(cuStreamBeginCaptureToGraph, cuStreamBeginCaptureToGraph_ptsz, per_thread);
  return begin(stream, per_thread, [&] { return real(stream, graph, dependencies, edges, count, mode); });
}

CUresult cuStreamEndCapture(CUstream stream, CUgraph* graph, bool per_thread) {
  const auto real = LORETOKEN_REAL_PT(cuStreamEndCapture, cuStreamEndCapture_ptsz, per_thread);
  if (Runtime::get() == nullptr) return real(stream, graph);
  const bool was_capturing = captures(stream, per_thread);
  const CUresult result = real(stream, graph);
  // A call by the wrong thread or on a stream that only joined leaves the capture going.
  if (was_capturing && !captures(stream, per_thread)) streams().capture_ended();
  return result;
}

}  // namespace loretoken::hooks
