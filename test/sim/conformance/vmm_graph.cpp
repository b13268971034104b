// Graph nodes and captured operations over addresses that are not mapped at the moment, or mapped anew later.
#include "report.h"

namespace conformance {
namespace {

constexpr size_t kBytes = 2 * kMiB;

CUDA_MEMSET_NODE_PARAMS set_of(CUdeviceptr dst) {
  CUDA_MEMSET_NODE_PARAMS params{};
  params.dst = dst;
  params.value = 7;
  params.elementSize = 4;
  params.width = 256;
  params.height = 1;
  return params;
}

CUDA_MEMCPY3D copy_of(CUdeviceptr dst, CUdeviceptr src) {
  CUDA_MEMCPY3D params{};
  params.srcMemoryType = params.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  params.srcDevice = src;
  params.dstDevice = dst;
  params.WidthInBytes = 1024;
  params.Height = params.Depth = 1;
  return params;
}

// Captures one operation and drops what was captured.
template <class Operation>
void captured(const char* what, CUstream stream, Operation&& operation) {
  CU(cuStreamBeginCapture)(stream, CU_STREAM_CAPTURE_MODE_RELAXED);
  const CUresult status = operation();
  CUgraph graph = nullptr;
  const CUresult ended = CU(cuStreamEndCapture)(stream, &graph);
  say(what, "%s, end %s", name_of(status).c_str(), name_of(ended).c_str());
  if (graph != nullptr) CU(cuGraphDestroy)(graph);
}

CUresult remap(VmmRange* range) {
  CU(cuMemUnmap)(range->base, range->size);
  CU(cuMemRelease)(range->handle);
  const CUmemAllocationProp prop = device_memory();
  CU(cuMemCreate)(&range->handle, range->size, &prop, 0);
  CU(cuMemMap)(range->base, range->size, 0, range->handle, 0);
  return allow(range->base, range->size);
}

CUgraph copy_graph(CUdeviceptr dst, CUdeviceptr src) {
  CUgraph graph = nullptr;
  CUgraphNode node = nullptr;
  CU(cuGraphCreate)(&graph, 0);
  const CUDA_MEMCPY3D copy = copy_of(dst, src);
  const CUDA_MEMSET_NODE_PARAMS set = set_of(src);
  result("add memset", CU(cuGraphAddMemsetNode)(&node, graph, nullptr, 0, &set, primary()));
  CUgraphNode next = nullptr;
  result("add memcpy", CU(cuGraphAddMemcpyNode)(&next, graph, &node, 1, &copy, primary()));
  return graph;
}

}  // namespace

void section_vmm_graph() {
  VmmRange a = map_fresh(kBytes);
  VmmRange b = map_fresh(kBytes);
  CUstream stream = make_stream();
  captured("captured copy, mapped", stream, [&] { return CU(cuMemcpyDtoDAsync)(b.base, a.base, 1024, stream); });
  CUgraph graph = copy_graph(b.base, a.base);

  CU(cuMemUnmap)(a.base, a.size);
  captured("captured copy, source unmapped", stream,
           [&] { return CU(cuMemcpyDtoDAsync)(b.base, a.base, 1024, stream); });
  captured("captured copy, destination unmapped", stream,
           [&] { return CU(cuMemcpyDtoDAsync)(a.base, b.base, 1024, stream); });
  captured("captured untyped copy, unmapped", stream, [&] { return CU(cuMemcpyAsync)(a.base, b.base, 1024, stream); });
  captured("captured set, unmapped", stream, [&] { return CU(cuMemsetD32Async)(a.base, 7, 256, stream); });
  CUgraph other = nullptr;
  CUgraphNode node = nullptr;
  CU(cuGraphCreate)(&other, 0);
  const CUDA_MEMCPY3D copy = copy_of(b.base, a.base);
  const CUDA_MEMSET_NODE_PARAMS set = set_of(a.base);
  result("add memcpy, unmapped", CU(cuGraphAddMemcpyNode)(&node, other, nullptr, 0, &copy, primary()));
  result("add memset, unmapped", CU(cuGraphAddMemsetNode)(&node, other, nullptr, 0, &set, primary()));

  CUgraphExec exec = nullptr;
  result("instantiate, unmapped", CU(cuGraphInstantiateWithFlags)(&exec, graph, 0));
  CU(cuMemMap)(a.base, a.size, 0, a.handle, 0);
  allow(a.base, a.size);
  if (exec == nullptr) result("instantiate, mapped", CU(cuGraphInstantiateWithFlags)(&exec, graph, 0));
  result("launch", CU(cuGraphLaunch)(exec, stream));
  result("synchronize", CU(cuStreamSynchronize)(stream));
  const uint64_t first = hash_of(b.base, 1024);

  CU(cuMemUnmap)(a.base, a.size);
  result("upload, unmapped", CU(cuGraphUpload)(exec, stream));
  CUgraphExecUpdateResultInfo outcome{};
  result("exec update, unmapped", CU(cuGraphExecUpdate)(exec, graph, &outcome));
  CU(cuMemMap)(a.base, a.size, 0, a.handle, 0);
  allow(a.base, a.size);
  result("remap both", remap(&a) == CUDA_SUCCESS ? remap(&b) : CUDA_ERROR_UNKNOWN);
  result("launch after remap", CU(cuGraphLaunch)(exec, stream));
  result("synchronize after remap", CU(cuStreamSynchronize)(stream));
  say("same bytes after remap", "%d", hash_of(b.base, 1024) == first);
}

}  // namespace conformance
