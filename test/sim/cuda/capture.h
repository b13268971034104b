// Where stream work goes: into the stream, or into the graph that the stream is being captured to.
#ifndef LORETOKEN_SIM_CAPTURE_H
#define LORETOKEN_SIM_CAPTURE_H

#include "scheduler.h"
#include "state.h"

namespace loretoken::sim {

struct Capture {
  uint64_t id = 0;
  CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
  uint64_t thread = 0;
  std::shared_ptr<Graph> graph;
  Stream* origin = nullptr;
  std::vector<std::shared_ptr<Stream>> members;
  bool invalid = false;
};

// Queues the body, or adds it as a node to the graph being captured (marker stays null).
// Fails with STREAM_CAPTURE_INVALIDATED, and with STREAM_CAPTURE_IMPLICIT for the legacy stream beside a capture.
CUresult submit(Lock& lock, const std::shared_ptr<Stream>& stream, Body body,
                std::shared_ptr<Marker>* marker = nullptr);

// For calls that capture cannot take (allocation, waiting, asking; not synchronous copies): STREAM_CAPTURE_UNSUPPORTED
// and the captures that forbid it become invalid, as the thread's capture mode says.
CUresult refuse_unsafe_call();
// For synchronising calls on a stream: refused while it is captured.
CUresult refuse_captured(Stream& stream);
// For synchronising a context: refused while any of its streams is captured.
CUresult refuse_captured(Context& ctx);
// For work on the legacy stream that would depend on a captured stream.
CUresult refuse_implicit(Stream& stream);

CUresult record_event(Lock& lock, const std::shared_ptr<Event>& event, const std::shared_ptr<Stream>& stream,
                      unsigned flags);
CUresult wait_event(Lock& lock, const std::shared_ptr<Stream>& stream, const std::shared_ptr<Event>& event,
                    unsigned flags);

}  // namespace loretoken::sim

#endif  // LORETOKEN_SIM_CAPTURE_H
