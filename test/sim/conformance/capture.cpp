// Which calls a capture allows, under each mode, on the capturing thread and on another.
#include <functional>
#include <thread>
#include <utility>

#include "capture_scene.h"

namespace conformance {

namespace {

constexpr std::pair<CUstreamCaptureMode, const char*> kModes[] = {{CU_STREAM_CAPTURE_MODE_GLOBAL, "global"},
                                                                  {CU_STREAM_CAPTURE_MODE_THREAD_LOCAL, "thread"},
                                                                  {CU_STREAM_CAPTURE_MODE_RELAXED, "relaxed"}};

using Body = std::function<CUresult(Scene&)>;

struct Trial {
  const char* name;
  Body body;
};

const std::vector<Trial>& trials() {
  static const std::vector<Trial> all = {
      {"cuMemAlloc",
       [](Scene&) {
         CUdeviceptr p = 0;
         return CU(cuMemAlloc)(&p, 4096);
       }},
      {"cuMemFree", [](Scene& s) { return CU(cuMemFree)(s.to_free); }},
      {"cuMemAllocAsync(captured)",
       [](Scene& s) {
         CUdeviceptr p = 0;
         return CU(cuMemAllocAsync)(&p, 4096, s.captured);
       }},
      {"cuMemAllocAsync(other)",
       [](Scene& s) {
         CUdeviceptr p = 0;
         return CU(cuMemAllocAsync)(&p, 4096, s.other);
       }},
      {"cuMemFreeAsync(captured, outside's)", [](Scene& s) { return CU(cuMemFreeAsync)(s.pooled, s.captured); }},
      {"cuMemFreeAsync(other)", [](Scene& s) { return CU(cuMemFreeAsync)(s.pooled, s.other); }},
      {"cuMemAllocManaged",
       [](Scene&) {
         CUdeviceptr p = 0;
         return CU(cuMemAllocManaged)(&p, 4096, 1);
       }},
      {"cuMemHostAlloc",
       [](Scene&) {
         void* p = nullptr;
         return CU(cuMemHostAlloc)(&p, 4096, 0);
       }},
      {"cuMemFreeHost", [](Scene& s) { return CU(cuMemFreeHost)(s.pinned); }},
      {"cuMemHostRegister", [](Scene& s) { return CU(cuMemHostRegister)(s.host, sizeof s.host, 0); }},
      {"cuMemGetInfo",
       [](Scene&) {
         size_t a, b;
         return CU(cuMemGetInfo)(&a, &b);
       }},
      {"cuMemCreate",
       [](Scene&) {
         CUmemGenericAllocationHandle h;
         const auto p = device_memory();
         return CU(cuMemCreate)(&h, 2 * kMiB, &p, 0);
       }},
      {"cuMemAddressReserve",
       [](Scene&) {
         CUdeviceptr p = 0;
         return CU(cuMemAddressReserve)(&p, 2 * kMiB, 0, 0, 0);
       }},
      {"cuMemMap", [](Scene& s) { return CU(cuMemMap)(s.reserved, 2 * kMiB, 0, s.handle, 0); }},
      {"cuMemSetAccess", [](Scene& s) { return allow(s.mapped.base, s.mapped.size); }},
      {"cuMemUnmap", [](Scene& s) { return CU(cuMemUnmap)(s.mapped.base, s.mapped.size); }},
      {"cuMemRelease", [](Scene& s) { return CU(cuMemRelease)(s.handle); }},
      {"cuMemAddressFree", [](Scene& s) { return CU(cuMemAddressFree)(s.reserved, 2 * kMiB); }},
      {"cuMemPoolTrimTo",
       [](Scene&) {
         CUmemoryPool p;
         CU(cuDeviceGetDefaultMemPool)(&p, device());
         return CU(cuMemPoolTrimTo)(p, 0);
       }},
      {"cuMemGetAddressRange",
       [](Scene& s) {
         CUdeviceptr b;
         size_t n;
         return CU(cuMemGetAddressRange)(&b, &n, s.memory);
       }},
      {"cuPointerGetAttribute",
       [](Scene& s) {
         unsigned t;
         return CU(cuPointerGetAttribute)(&t, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, s.memory);
       }},
      {"cuMemcpyHtoD", [](Scene& s) { return CU(cuMemcpyHtoD)(s.memory, s.host, 4096); }},
      {"cuMemcpyDtoH", [](Scene& s) { return CU(cuMemcpyDtoH)(s.host, s.memory, 4096); }},
      {"cuMemcpyDtoD", [](Scene& s) { return CU(cuMemcpyDtoD)(s.memory, s.memory + 4096, 4096); }},
      {"cuMemcpyHtoDAsync(captured, pinned)",
       [](Scene& s) { return CU(cuMemcpyHtoDAsync)(s.memory, s.pinned, 4096, s.captured); }},
      {"cuMemcpyHtoDAsync(captured, pageable)",
       [](Scene& s) { return CU(cuMemcpyHtoDAsync)(s.memory, s.host, 4096, s.captured); }},
      {"cuMemcpyDtoHAsync(captured, pageable)",
       [](Scene& s) { return CU(cuMemcpyDtoHAsync)(s.host, s.memory, 4096, s.captured); }},
      {"cuMemcpyHtoDAsync(other)", [](Scene& s) { return CU(cuMemcpyHtoDAsync)(s.memory, s.pinned, 4096, s.other); }},
      {"cuMemsetD8", [](Scene& s) { return CU(cuMemsetD8)(s.memory, 1, 4096); }},
      {"cuMemsetD8Async(captured)", [](Scene& s) { return CU(cuMemsetD8Async)(s.memory, 1, 4096, s.captured); }},
      {"cuMemsetD8Async(stream 0)", [](Scene& s) { return CU(cuMemsetD8Async)(s.memory, 1, 4096, nullptr); }},
      {"cuMemsetD8Async(blocking)", [](Scene& s) { return CU(cuMemsetD8Async)(s.memory, 1, 4096, s.blocking); }},
      {"cuMemsetD8Async(other)", [](Scene& s) { return CU(cuMemsetD8Async)(s.memory, 1, 4096, s.other); }},
      {"launch(captured)", [](Scene& s) { return fill(s.captured, s.memory, 64, 1); }},
      {"launch(stream 0)", [](Scene& s) { return fill(nullptr, s.memory, 64, 1); }},
      {"launch(other)", [](Scene& s) { return fill(s.other, s.memory, 64, 1); }},
      {"cuLaunchHostFunc(captured)",
       [](Scene& s) {
         return CU(cuLaunchHostFunc)(
             s.captured, [](void*) {}, nullptr);
       }},
      {"cuStreamAddCallback(captured)",
       [](Scene& s) {
         return CU(cuStreamAddCallback)(
             s.captured, [](CUstream, CUresult, void*) {}, nullptr, 0);
       }},
      {"cuStreamSynchronize(captured)", [](Scene& s) { return CU(cuStreamSynchronize)(s.captured); }},
      {"cuStreamSynchronize(other)", [](Scene& s) { return CU(cuStreamSynchronize)(s.other); }},
      {"cuStreamSynchronize(stream 0)", [](Scene&) { return CU(cuStreamSynchronize)(nullptr); }},
      {"cuStreamQuery(captured)", [](Scene& s) { return CU(cuStreamQuery)(s.captured); }},
      {"cuStreamQuery(other)", [](Scene& s) { return CU(cuStreamQuery)(s.other); }},
      {"cuStreamQuery(stream 0)", [](Scene&) { return CU(cuStreamQuery)(nullptr); }},
      {"cuCtxSynchronize", [](Scene&) { return CU(cuCtxSynchronize)(); }},
      {"cuStreamGetCtx(captured)",
       [](Scene& s) {
         CUcontext c;
         return CU(cuStreamGetCtx)(s.captured, &c);
       }},
      {"cuStreamCreate",
       [](Scene&) {
         CUstream t;
         return CU(cuStreamCreate)(&t, CU_STREAM_NON_BLOCKING);
       }},
      {"cuStreamDestroy(other)", [](Scene& s) { return CU(cuStreamDestroy)(s.other); }},
      {"cuEventCreate",
       [](Scene&) {
         CUevent e;
         return CU(cuEventCreate)(&e, 0);
       }},
      {"cuEventDestroy", [](Scene& s) { return CU(cuEventDestroy)(s.event); }},
      {"cuEventQuery(recorded outside)", [](Scene& s) { return CU(cuEventQuery)(s.recorded); }},
      {"cuEventSynchronize(recorded outside)", [](Scene& s) { return CU(cuEventSynchronize)(s.recorded); }},
      {"cuEventRecord(captured)", [](Scene& s) { return CU(cuEventRecord)(s.event, s.captured); }},
      {"cuEventRecord(other)", [](Scene& s) { return CU(cuEventRecord)(s.event, s.other); }},
      {"cuEventRecord(stream 0)", [](Scene& s) { return CU(cuEventRecord)(s.event, nullptr); }},
      {"cuEventQuery(captured)",
       [](Scene& s) {
         CU(cuEventRecord)(s.event, s.captured);
         return CU(cuEventQuery)(s.event);
       }},
      {"cuEventSynchronize(captured)",
       [](Scene& s) {
         CU(cuEventRecord)(s.event, s.captured);
         return CU(cuEventSynchronize)(s.event);
       }},
      {"cuStreamWaitEvent(captured, outside's)",
       [](Scene& s) { return CU(cuStreamWaitEvent)(s.captured, s.recorded, 0); }},
      {"cuStreamWaitEvent(captured, outside's, external)",
       [](Scene& s) { return CU(cuStreamWaitEvent)(s.captured, s.recorded, CU_EVENT_WAIT_EXTERNAL); }},
      {"cuStreamWaitEvent(other, captured's)",
       [](Scene& s) {
         CU(cuEventRecord)(s.event, s.captured);
         return CU(cuStreamWaitEvent)(s.other, s.event, 0);
       }},
      {"cuStreamWaitEvent(stream 0, captured's)",
       [](Scene& s) {
         CU(cuEventRecord)(s.event, s.captured);
         return CU(cuStreamWaitEvent)(nullptr, s.event, 0);
       }},
      {"cuStreamBeginCapture(again)",
       [](Scene& s) { return CU(cuStreamBeginCapture)(s.captured, CU_STREAM_CAPTURE_MODE_RELAXED); }},
      {"cuStreamEndCapture(other)",
       [](Scene& s) {
         CUgraph g;
         return CU(cuStreamEndCapture)(s.other, &g);
       }},
      {"cuGraphLaunch(captured)", [](Scene& s) { return CU(cuGraphLaunch)(s.exec, s.captured); }},
      {"cuGraphLaunch(other)", [](Scene& s) { return CU(cuGraphLaunch)(s.exec, s.other); }},
      {"cuGraphCreate",
       [](Scene&) {
         CUgraph g;
         return CU(cuGraphCreate)(&g, 0);
       }},
      {"cuGraphInstantiate",
       [](Scene&) {
         CUgraph g;
         CUgraphExec e;
         CU(cuGraphCreate)(&g, 0);
         return CU(cuGraphInstantiate)(&e, g, 0);
       }},
      {"cuModuleLoadData",
       [](Scene&) {
         CUmodule m;
         return CU(cuModuleLoadData)(&m, kernel_image().data());
       }},
      {"cuModuleUnload", [](Scene& s) { return CU(cuModuleUnload)(s.module); }},
      {"cuModuleGetFunction",
       [](Scene& s) {
         CUfunction f;
         return CU(cuModuleGetFunction)(&f, s.module, "conform_add");
       }},
      {"cuStreamWriteValue32(captured)", [](Scene& s) { return CU(cuStreamWriteValue32)(s.captured, s.memory, 1, 0); }},
      {"cuMemcpyBatchAsync(captured)",
       [](Scene& s) {
         CUdeviceptr to = s.memory, from = s.memory + 4096;
         size_t bytes = 512, first = 0;
         CUmemcpyAttributes attributes{};
         attributes.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM;
         return CU(cuMemcpyBatchAsync)(&to, &from, &bytes, 1, &attributes, &first, 1, s.captured);
       }},
      {"cuCtxSetCurrent", [](Scene&) { return CU(cuCtxSetCurrent)(primary()); }},
      {"cuCtxSetLimit", [](Scene&) { return CU(cuCtxSetLimit)(CU_LIMIT_PRINTF_FIFO_SIZE, 2 * kMiB); }},
      {"cuDevicePrimaryCtxRetain",
       [](Scene&) {
         CUcontext c;
         return CU(cuDevicePrimaryCtxRetain)(&c, device());
       }},
      {"cuMemPoolCreate",
       [](Scene&) {
         CUmemPoolProps props{};
         props.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
         props.location = {CU_MEM_LOCATION_TYPE_DEVICE, {device()}};
         CUmemoryPool pool;
         return CU(cuMemPoolCreate)(&pool, &props);
       }},
      {"cuIpcGetMemHandle",
       [](Scene& s) {
         CUipcMemHandle h;
         return CU(cuIpcGetMemHandle)(&h, s.memory);
       }},
  };
  return all;
}

// Begins a capture, makes the call, ends the capture; one line with the call's result and the capture's fate.
void try_one(CUstreamCaptureMode mode, const char* mode_name, const Trial& trial, bool on_other_thread) {
  Scene scene = make_scene();
  CU(cuStreamBeginCapture)(scene.captured, mode);
  CUresult answer = CUDA_SUCCESS;
  if (on_other_thread) {
    std::thread([&] {
      CU(cuCtxSetCurrent)(primary());
      answer = trial.body(scene);
    }).join();
  } else {
    answer = trial.body(scene);
  }
  const std::string fate = status_of(scene.captured);
  CUgraph graph = nullptr;
  const CUresult end = CU(cuStreamEndCapture)(scene.captured, &graph);
  CU(cuMemHostUnregister)(scene.host);
  size_t nodes = 0;
  if (graph) CU(cuGraphGetNodes)(graph, nullptr, &nodes);
  say(std::string(mode_name) + (on_other_thread ? "[other thread] " : " ") + trial.name,
      "%s, capture %s, end %s, %zu nodes", name_of(answer).c_str(), fate.c_str(), name_of(end).c_str(), nodes);
}

}  // namespace

void section_capture_modes() {
  for (const auto& [mode, name] : kModes)
    for (const Trial& trial : trials()) try_one(mode, name, trial, false);
  for (const auto& [mode, name] : kModes)
    for (const Trial& trial : trials()) {
      const std::string call = trial.name;
      if (call == "cuMemAlloc" || call == "cuMemFree" || call == "cuStreamSynchronize(other)" ||
          call == "cuCtxSynchronize" || call == "cuMemcpyHtoD" || call == "cuMemSetAccess" || call == "cuMemUnmap" ||
          call == "cuEventQuery(recorded outside)" || call == "cuModuleLoadData" || call == "cuMemsetD8" ||
          call == "cuMemAllocAsync(other)" || call == "cuStreamSynchronize(captured)" || call == "launch(captured)" ||
          call == "cuMemHostAlloc")
        try_one(mode, name, trial, true);
    }
}

}  // namespace conformance
