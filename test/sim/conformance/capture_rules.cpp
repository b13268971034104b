// Forks, joins, identities and ends of captures.
#include <thread>

#include "capture_scene.h"

namespace conformance {

std::string status_of(CUstream stream) {
  CUstreamCaptureStatus status{};
  const CUresult answer = CU(cuStreamIsCapturing)(stream, &status);
  if (answer != CUDA_SUCCESS) return name_of(answer);
  return status == CU_STREAM_CAPTURE_STATUS_ACTIVE        ? "active"
         : status == CU_STREAM_CAPTURE_STATUS_INVALIDATED ? "invalidated"
                                                          : "none";
}

Scene make_scene() {
  Scene scene{};
  scene.captured = make_stream();
  scene.other = make_stream();
  scene.blocking = make_stream(CU_STREAM_DEFAULT);
  scene.memory = allocate(8192);
  scene.to_free = allocate(8192);
  CU(cuMemAllocAsync)(&scene.pooled, 8192, scene.other);
  CU(cuMemAddressReserve)(&scene.reserved, 2 * kMiB, 0, 0, 0);
  const CUmemAllocationProp prop = device_memory();
  CU(cuMemCreate)(&scene.handle, 2 * kMiB, &prop, 0);
  scene.event = make_event();
  scene.recorded = make_event();
  CU(cuEventRecord)(scene.recorded, scene.other);
  scene.mapped = map_fresh(2 * kMiB);
  CU(cuMemHostAlloc)(&scene.pinned, 4096, 0);
  CUgraph empty = nullptr;
  CU(cuGraphCreate)(&empty, 0);
  CU(cuGraphInstantiate)(&scene.exec, empty, 0);
  CU(cuModuleLoadData)(&scene.module, kernel_image().data());
  kernels();
  CU(cuCtxSynchronize)();
  return scene;
}

void section_capture_rules() {
  Scene scene = make_scene();
  const CUstream a = scene.captured, b = scene.other;
  CUgraph graph = nullptr;
  result("begin(stream 0)", CU(cuStreamBeginCapture)(nullptr, CU_STREAM_CAPTURE_MODE_RELAXED));
  result("begin(bad mode)", CU(cuStreamBeginCapture)(a, static_cast<CUstreamCaptureMode>(9)));
  result("end(not capturing)", CU(cuStreamEndCapture)(a, &graph));
  result("begin(per thread)", CU(cuStreamBeginCapture)(CU_STREAM_PER_THREAD, CU_STREAM_CAPTURE_MODE_RELAXED));
  result("end(per thread)", CU(cuStreamEndCapture)(CU_STREAM_PER_THREAD, &graph));
  CU(cuStreamBeginCapture)(a, CU_STREAM_CAPTURE_MODE_GLOBAL);
  CU(cuEventRecord)(scene.event, a);
  result("fork", CU(cuStreamWaitEvent)(b, scene.event, 0));
  say("forked stream", "%s", status_of(b).c_str());
  result("end(forked stream)", CU(cuStreamEndCapture)(b, &graph));
  say("after end on fork", "%s", status_of(a).c_str());
  result("end", CU(cuStreamEndCapture)(a, &graph));
  say("graph_is_null", "%d", graph == nullptr);

  CU(cuStreamBeginCapture)(a, CU_STREAM_CAPTURE_MODE_GLOBAL);
  fill(a, scene.memory, 64, 1);
  CU(cuEventRecord)(scene.event, a);
  CU(cuStreamWaitEvent)(b, scene.event, 0);
  fill(b, scene.memory, 64, 1);
  graph = nullptr;
  result("end unjoined", CU(cuStreamEndCapture)(a, &graph));
  say("forked stream after", "%s", status_of(b).c_str());

  CU(cuStreamBeginCapture)(a, CU_STREAM_CAPTURE_MODE_GLOBAL);
  result("end on another thread", [&] {
    CUresult answer = CUDA_SUCCESS;
    std::thread([&] {
      CU(cuCtxSetCurrent)(primary());
      answer = CU(cuStreamEndCapture)(a, &graph);
    }).join();
    return answer;
  }());
  CU(cuStreamEndCapture)(a, &graph);

  CU(cuStreamBeginCapture)(a, CU_STREAM_CAPTURE_MODE_GLOBAL);
  cuuint64_t id = 0, id_of_fork = 0;
  CUstreamCaptureStatus status{};
  const CUgraphNode* dependencies = nullptr;
  size_t count = 77;
  fill(a, scene.memory, 64, 1);
  result("info", CU(cuStreamGetCaptureInfo)(a, &status, &id, &graph, &dependencies, nullptr, &count));
  say("info", "status %d id %d graph %d dependencies %zu", status, id != 0, graph != nullptr, count);
  CU(cuEventRecord)(scene.event, a);
  CU(cuStreamWaitEvent)(b, scene.event, 0);
  result("info of fork", CU(cuStreamGetCaptureInfo)(b, &status, &id_of_fork, nullptr, nullptr, nullptr, nullptr));
  say("same_capture", "%d", id == id_of_fork);
  const CUevent join = make_event();
  CU(cuEventRecord)(join, b);
  result("join", CU(cuStreamWaitEvent)(a, join, 0));
  result("end joined", CU(cuStreamEndCapture)(a, &graph));

  CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
  CU(cuStreamBeginCapture)(a, CU_STREAM_CAPTURE_MODE_GLOBAL);
  result("exchange mode", CU(cuThreadExchangeStreamCaptureMode)(&mode));
  say("was", "%d", mode);
  CUdeviceptr p = 0;
  result("cuMemAlloc while exchanged", CU(cuMemAlloc)(&p, 4096));
  result("cuStreamSynchronize(other) while exchanged", CU(cuStreamSynchronize)(b));
  say("still", "%s", status_of(a).c_str());
  CU(cuThreadExchangeStreamCaptureMode)(&mode);
  say("was then", "%d", mode);
  result("end after exchange", CU(cuStreamEndCapture)(a, &graph));
  mode = static_cast<CUstreamCaptureMode>(9);
  result("exchange(bad mode)", CU(cuThreadExchangeStreamCaptureMode)(&mode));

  CU(cuStreamBeginCapture)(scene.blocking, CU_STREAM_CAPTURE_MODE_RELAXED);
  result("stream 0 beside a captured blocking stream", CU(cuMemsetD8Async)(scene.memory, 1, 4096, nullptr));
  say("captured blocking stream", "%s", status_of(scene.blocking).c_str());
  result("end blocking", CU(cuStreamEndCapture)(scene.blocking, &graph));
  CU(cuStreamBeginCapture)(a, CU_STREAM_CAPTURE_MODE_GLOBAL);
  result("destroy captured stream", CU(cuStreamDestroy)(a));
}

}  // namespace conformance
