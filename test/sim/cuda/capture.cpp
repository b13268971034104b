#include "capture.h"

#include <algorithm>

#include "api.h"
#include "graph.h"

namespace loretoken::sim {

namespace {

thread_local CUstreamCaptureMode thread_mode = CU_STREAM_CAPTURE_MODE_GLOBAL;

void join(const std::shared_ptr<Capture>& capture, const std::shared_ptr<Stream>& stream) {
  stream->capture = capture;
  capture->members.push_back(stream);
}

void add_unique(std::vector<Node*>& nodes, const std::vector<Node*>& more) {
  for (Node* node : more)
    if (std::find(nodes.begin(), nodes.end(), node) == nodes.end()) nodes.push_back(node);
}

// Everything that the nodes stand behind, themselves included.
std::set<Node*> ancestors(const std::vector<Node*>& from) {
  std::set<Node*> seen;
  std::vector<Node*> todo = from;
  while (!todo.empty()) {
    Node* node = todo.back();
    todo.pop_back();
    if (!seen.insert(node).second) continue;
    todo.insert(todo.end(), node->dependencies.begin(), node->dependencies.end());
  }
  return seen;
}

bool joined(const Capture& capture) {
  const std::set<Node*> reached = ancestors(capture.origin->capture_deps);
  for (auto& stream : capture.members)
    for (Node* node : stream->capture_deps)
      if (!reached.count(node)) return false;
  return true;
}

void finish(const std::shared_ptr<Capture>& capture) {
  for (auto& stream : capture->members) {
    stream->capture.reset();
    stream->capture_deps.clear();
  }
  std::erase(state().captures, capture);
}

CUresult begin(const std::shared_ptr<Stream>& stream, CUstreamCaptureMode mode, std::shared_ptr<Graph> graph,
               std::vector<Node*> dependencies) {
  if (mode < CU_STREAM_CAPTURE_MODE_GLOBAL || mode > CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_ERROR_INVALID_VALUE;
  if (stream->legacy) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (stream->capture) return CUDA_ERROR_ILLEGAL_STATE;
  State& s = state();
  auto capture = std::make_shared<Capture>();
  capture->id = s.next_id++;
  capture->mode = mode;
  capture->thread = thread_number();
  capture->graph = std::move(graph);
  capture->origin = stream.get();
  join(capture, stream);
  stream->capture_deps = std::move(dependencies);
  s.captures.push_back(capture);
  return CUDA_SUCCESS;
}

}  // namespace

CUresult refuse_implicit(Stream& stream) {
  if (!stream.legacy) return CUDA_SUCCESS;
  bool refused = false;
  for (auto& other : stream.ctx->streams) {
    if (!other->capture || !other->blocking()) continue;
    other->capture->invalid = true;
    refused = true;
  }
  return refused ? CUDA_ERROR_STREAM_CAPTURE_IMPLICIT : CUDA_SUCCESS;
}

CUresult refuse_captured(Stream& stream) {
  if (!stream.capture) return refuse_implicit(stream);
  stream.capture->invalid = true;
  return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

CUresult refuse_captured(Context& ctx) {
  bool refused = false;
  for (auto& stream : ctx.streams) {
    if (!stream->capture) continue;
    stream->capture->invalid = true;
    refused = true;
  }
  return refused ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_SUCCESS;
}

CUresult refuse_unsafe_call() {
  if (thread_mode == CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_SUCCESS;
  bool refused = false;
  for (auto& capture : state().captures) {
    const bool own = capture->thread == thread_number() && capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED;
    const bool global = thread_mode == CU_STREAM_CAPTURE_MODE_GLOBAL && capture->mode == CU_STREAM_CAPTURE_MODE_GLOBAL;
    if (!own && !global) continue;
    capture->invalid = true;
    refused = true;
  }
  return refused ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_SUCCESS;
}

CUresult submit(Lock& lock, const std::shared_ptr<Stream>& stream, Body body, std::shared_ptr<Marker>* marker) {
  if (stream->capture) {
    if (stream->capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    Node* node = add_node(*stream->capture->graph, std::move(body), stream->capture_deps);
    stream->capture_deps = {node};
    return CUDA_SUCCESS;
  }
  if (CUresult error = refuse_implicit(*stream)) return error;
  auto done = enqueue(lock, stream, std::move(body));
  if (marker) *marker = done;
  return CUDA_SUCCESS;
}

CUresult record_event(Lock& lock, const std::shared_ptr<Event>& event, const std::shared_ptr<Stream>& stream,
                      unsigned flags) {
  if (flags > CU_EVENT_RECORD_EXTERNAL) return CUDA_ERROR_INVALID_VALUE;
  if (event->ctx != stream->ctx) return CUDA_ERROR_INVALID_HANDLE;
  if (!stream->capture) {
    if (flags == CU_EVENT_RECORD_EXTERNAL) return CUDA_ERROR_ILLEGAL_STATE;
    if (CUresult error = refuse_implicit(*stream)) return error;
    event->capture.reset();
    event->last = enqueue(lock, stream, EmptyBody{});
    return CUDA_SUCCESS;
  }
  if (stream->capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  if (flags == CU_EVENT_RECORD_EXTERNAL) return submit(lock, stream, EventRecordBody{event});
  event->capture = stream->capture;
  event->capture_deps = stream->capture_deps;
  return CUDA_SUCCESS;
}

CUresult wait_event(Lock& lock, const std::shared_ptr<Stream>& stream, const std::shared_ptr<Event>& event,
                    unsigned flags) {
  if (flags > CU_EVENT_WAIT_EXTERNAL) return CUDA_ERROR_INVALID_VALUE;
  auto& captured = event->capture;
  const bool live = captured && std::count(state().captures.begin(), state().captures.end(), captured);
  if (stream->capture) {
    if (stream->capture->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (flags == CU_EVENT_WAIT_EXTERNAL) return submit(lock, stream, EventWaitBody{event});
    if (!live || captured != stream->capture) {
      // Work outside the capture cannot be waited for from within it.
      stream->capture->invalid = true;
      return live ? CUDA_ERROR_STREAM_CAPTURE_MERGE : CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
    }
    add_unique(stream->capture_deps, event->capture_deps);
    return CUDA_SUCCESS;
  }
  if (live) {
    if (captured->invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    if (stream->legacy) return refuse_captured(*captured->origin), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    join(captured, stream);
    stream->capture_deps = event->capture_deps;
    return CUDA_SUCCESS;
  }
  if (captured) return CUDA_ERROR_INVALID_VALUE;  // its capture has ended
  if (!event->last) return CUDA_SUCCESS;
  if (CUresult error = refuse_implicit(*stream)) return error;
  if (!event->last->done) enqueue(lock, stream, EmptyBody{}, {event->last});
  return CUDA_SUCCESS;
}

}  // namespace loretoken::sim

using namespace loretoken::sim;

extern "C" {

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode* mode) {
  SIM_API(cuThreadExchangeStreamCaptureMode, kInit);
  if (!mode) return CUDA_ERROR_INVALID_VALUE;
  std::swap(*mode, thread_mode);
  return CUDA_SUCCESS;
}

CUresult cuStreamBeginCapture_v2(CUstream handle, CUstreamCaptureMode mode) {
  SIM_API_LOCKED(cuStreamBeginCapture_v2, kContext);
  auto stream = find_stream(*api.ctx, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  auto graph = std::make_shared<Graph>();
  return begin(stream, mode, graph, {});
}

CUresult cuStreamBeginCapture(CUstream stream) {
  return cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL);
}

CUresult cuStreamBeginCaptureToGraph(CUstream handle, CUgraph graph_handle, const CUgraphNode* dependencies,
                                     const CUgraphEdgeData*, size_t count, CUstreamCaptureMode mode) {
  SIM_API_LOCKED(cuStreamBeginCaptureToGraph, kContext);
  auto stream = find_stream(*api.ctx, handle);
  auto graph = state().graphs.find(graph_handle);
  if (!stream || !graph) return CUDA_ERROR_INVALID_HANDLE;
  std::vector<Node*> nodes;
  if (!read_dependencies(*graph, dependencies, count, nodes)) return CUDA_ERROR_INVALID_VALUE;
  return begin(stream, mode, graph, nodes);
}

CUresult cuStreamEndCapture(CUstream handle, CUgraph* out) {
  SIM_API_LOCKED(cuStreamEndCapture, kContext);
  auto stream = find_stream(*api.ctx, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  *out = nullptr;
  auto capture = stream->capture;
  if (!capture) return CUDA_ERROR_ILLEGAL_STATE;
  if (capture->origin != stream.get()) {
    capture->invalid = true;
    return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
  }
  if (capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED && capture->thread != thread_number())
    return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
  const bool all_joined = joined(*capture);
  const bool invalid = capture->invalid;
  finish(capture);
  if (invalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  if (!all_joined) return CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
  if (!state().graphs.find(capture->graph.get())) state().graphs.add(capture->graph);
  *out = as_handle<CUgraph>(capture->graph.get());
  return CUDA_SUCCESS;
}

CUresult cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus* status) {
  SIM_API_LOCKED(cuStreamIsCapturing, kContext);
  auto stream = find_stream(*api.ctx, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!status) return CUDA_ERROR_INVALID_VALUE;
  if (CUresult error = refuse_implicit(*stream)) return error;
  *status = !stream->capture           ? CU_STREAM_CAPTURE_STATUS_NONE
            : stream->capture->invalid ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                       : CU_STREAM_CAPTURE_STATUS_ACTIVE;
  return CUDA_SUCCESS;
}

CUresult cuStreamGetCaptureInfo_v3(CUstream handle, CUstreamCaptureStatus* status, cuuint64_t* id, CUgraph* graph,
                                   const CUgraphNode** dependencies, const CUgraphEdgeData** edges, size_t* count) {
  SIM_API_LOCKED(cuStreamGetCaptureInfo_v3, kContext);
  auto stream = find_stream(*api.ctx, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!status) return CUDA_ERROR_INVALID_VALUE;
  if (CUresult error = refuse_implicit(*stream)) return error;
  auto& capture = stream->capture;
  *status = CU_STREAM_CAPTURE_STATUS_NONE;
  if (!capture) return CUDA_SUCCESS;
  *status = capture->invalid ? CU_STREAM_CAPTURE_STATUS_INVALIDATED : CU_STREAM_CAPTURE_STATUS_ACTIVE;
  if (capture->invalid) return CUDA_SUCCESS;
  if (id) *id = capture->id;
  if (graph) *graph = as_handle<CUgraph>(capture->graph.get());
  if (graph && !state().graphs.find(capture->graph.get())) state().graphs.add(capture->graph);
  if (dependencies) *dependencies = reinterpret_cast<const CUgraphNode*>(stream->capture_deps.data());
  if (edges) *edges = nullptr;
  if (count) *count = stream->capture_deps.size();
  return CUDA_SUCCESS;
}

CUresult cuStreamGetCaptureInfo_v2(CUstream stream, CUstreamCaptureStatus* status, cuuint64_t* id, CUgraph* graph,
                                   const CUgraphNode** dependencies, size_t* count) {
  return cuStreamGetCaptureInfo_v3(stream, status, id, graph, dependencies, nullptr, count);
}

CUresult cuStreamGetCaptureInfo(CUstream stream, CUstreamCaptureStatus* status, cuuint64_t* id) {
  return cuStreamGetCaptureInfo_v3(stream, status, id, nullptr, nullptr, nullptr, nullptr);
}

CUresult cuStreamUpdateCaptureDependencies_v2(CUstream handle, CUgraphNode* dependencies, const CUgraphEdgeData*,
                                              size_t count, unsigned int flags) {
  SIM_API_LOCKED(cuStreamUpdateCaptureDependencies_v2, kContext);
  auto stream = find_stream(*api.ctx, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!stream->capture) return CUDA_ERROR_ILLEGAL_STATE;
  std::vector<Node*> nodes;
  if (flags > CU_STREAM_SET_CAPTURE_DEPENDENCIES ||
      !read_dependencies(*stream->capture->graph, dependencies, count, nodes))
    return CUDA_ERROR_INVALID_VALUE;
  if (flags == CU_STREAM_SET_CAPTURE_DEPENDENCIES) stream->capture_deps.clear();
  add_unique(stream->capture_deps, nodes);
  return CUDA_SUCCESS;
}

CUresult cuStreamUpdateCaptureDependencies(CUstream stream, CUgraphNode* dependencies, size_t count,
                                           unsigned int flags) {
  return cuStreamUpdateCaptureDependencies_v2(stream, dependencies, nullptr, count, flags);
}

}  // extern "C"
