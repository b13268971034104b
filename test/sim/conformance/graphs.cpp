// Graphs: building, capturing, instantiating, launching, updating; memory nodes.
#include "report.h"

namespace conformance {

namespace {

CUDA_KERNEL_NODE_PARAMS fill_params(void** params) {
  CUDA_KERNEL_NODE_PARAMS node{};
  node.func = kernel("conform_fill");
  node.gridDimX = 4;
  node.gridDimY = node.gridDimZ = 1;
  node.blockDimX = 256;
  node.blockDimY = node.blockDimZ = 1;
  node.kernelParams = params;
  return node;
}

CUgraph captured(CUstream stream, CUdeviceptr memory) {
  CUgraph graph = nullptr;
  CU(cuStreamBeginCapture)(stream, CU_STREAM_CAPTURE_MODE_GLOBAL);
  CU(cuMemsetD8Async)(memory, 0, 8192, stream);
  fill(stream, memory, 1024, 5);
  CU(cuMemcpyDtoDAsync)(memory + 4096, memory, 2048, stream);
  CU(cuLaunchHostFunc)
  (
      stream, [](void*) {}, nullptr);
  CU(cuStreamEndCapture)(stream, &graph);
  return graph;
}

std::string types_of(CUgraph graph) {
  size_t count = 0;
  CU(cuGraphGetNodes)(graph, nullptr, &count);
  std::vector<CUgraphNode> nodes(count);
  CU(cuGraphGetNodes)(graph, nodes.data(), &count);
  std::string text;
  for (CUgraphNode node : nodes) {
    CUgraphNodeType type{};
    CU(cuGraphNodeGetType)(node, &type);
    text += " " + std::to_string(type);
  }
  return text;
}

}  // namespace

void section_graphs() {
  const CUstream stream = make_stream();
  const CUdeviceptr memory = allocate(8192);
  CUgraph graph = captured(stream, memory);
  say("captured types", "%s", types_of(graph).c_str());
  size_t count = 0;
  result("roots", CU(cuGraphGetRootNodes)(graph, nullptr, &count));
  say("roots", "%zu", count);
  result("edges", CU(cuGraphGetEdges)(graph, nullptr, nullptr, nullptr, &count));
  say("edges", "%zu", count);
  CUgraphExec exec = nullptr;
  result("instantiate", CU(cuGraphInstantiate)(&exec, graph, 0));
  result("instantiate(bad flags)", CU(cuGraphInstantiate)(&exec, graph, 1ull << 40));
  say("memory before launch", "%016llx",
      static_cast<unsigned long long>((CU(cuMemsetD8)(memory, 9, 8192), hash_of(memory, 8192))));
  result("launch", CU(cuGraphLaunch)(exec, stream));
  result("sync", CU(cuStreamSynchronize)(stream));
  say("memory after launch", "%016llx", static_cast<unsigned long long>(hash_of(memory, 8192)));
  result("upload", CU(cuGraphUpload)(exec, stream));
  result("launch on stream 0", CU(cuGraphLaunch)(exec, nullptr));
  result("sync 0", CU(cuCtxSynchronize)());
  result("launch(null)", CU(cuGraphLaunch)(nullptr, stream));

  CUgraph built = nullptr, clone = nullptr;
  CUgraphNode fill_node = nullptr, set_node = nullptr, empty = nullptr, child = nullptr, host = nullptr, copy = nullptr;
  CUdeviceptr out = memory;
  uint32_t n = 1000, value = 3;
  void* params[] = {&out, &n, &value};
  CUDA_KERNEL_NODE_PARAMS node = fill_params(params);
  result("create(flags)", CU(cuGraphCreate)(&built, 1));
  result("create", CU(cuGraphCreate)(&built, 0));
  result("add kernel", CU(cuGraphAddKernelNode)(&fill_node, built, nullptr, 0, &node));
  CUDA_MEMSET_NODE_PARAMS set{};
  set.dst = memory;
  set.elementSize = 4;
  set.value = 0x11;
  set.width = 100;
  set.height = 1;
  result("add memset", CU(cuGraphAddMemsetNode)(&set_node, built, &fill_node, 1, &set, primary()));
  set.elementSize = 3;
  result("add memset(element 3)", CU(cuGraphAddMemsetNode)(&empty, built, nullptr, 0, &set, primary()));
  result("add empty", CU(cuGraphAddEmptyNode)(&empty, built, &set_node, 1));
  result("add child", CU(cuGraphAddChildGraphNode)(&child, built, &empty, 1, graph));
  CUDA_HOST_NODE_PARAMS host_params{};
  host_params.fn = [](void*) {};
  result("add host", CU(cuGraphAddHostNode)(&host, built, &child, 1, &host_params));
  CUDA_MEMCPY3D shape{};
  shape.srcMemoryType = shape.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  shape.srcDevice = memory;
  shape.dstDevice = memory + 6000;
  shape.WidthInBytes = 500;
  shape.Height = shape.Depth = 1;
  result("add memcpy", CU(cuGraphAddMemcpyNode)(&copy, built, &host, 1, &shape, primary()));
  result("add dependency", CU(cuGraphAddDependencies)(built, &fill_node, &copy, nullptr, 1));
  result("add dependency again", CU(cuGraphAddDependencies)(built, &fill_node, &copy, nullptr, 1));
  result("add dependency on itself", CU(cuGraphAddDependencies)(built, &copy, &copy, nullptr, 1));
  CUgraphExec built_exec = nullptr;
  result("instantiate built", CU(cuGraphInstantiate)(&built_exec, built, 0));
  result("launch built", CU(cuGraphLaunch)(built_exec, stream));
  CU(cuStreamSynchronize)(stream);
  say("built hash", "%016llx", static_cast<unsigned long long>(hash_of(memory, 8192)));
  say("built types", "%s", types_of(built).c_str());
  CUDA_KERNEL_NODE_PARAMS got{};
  result("get kernel params", CU(cuGraphKernelNodeGetParams)(fill_node, &got));
  if (got.kernelParams)
    say("kernel params", "out %d n %u value %u", *static_cast<CUdeviceptr*>(got.kernelParams[0]) == memory,
        *static_cast<uint32_t*>(got.kernelParams[1]), *static_cast<uint32_t*>(got.kernelParams[2]));
  CUDA_MEMSET_NODE_PARAMS got_set{};
  result("get kernel params of memset", CU(cuGraphKernelNodeGetParams)(set_node, &got));
  result("get memset params", CU(cuGraphMemsetNodeGetParams)(set_node, &got_set));
  say("memset params", "element %u width %zu value %u", got_set.elementSize, got_set.width, got_set.value);
  value = 77;
  result("exec set params", CU(cuGraphExecKernelNodeSetParams)(built_exec, fill_node, &node));
  CU(cuGraphLaunch)(built_exec, stream);
  CU(cuStreamSynchronize)(stream);
  say("hash with new params", "%016llx", static_cast<unsigned long long>(hash_of(memory, 8192)));
  result("disable", CU(cuGraphNodeSetEnabled)(built_exec, fill_node, 0));
  result("disable empty", CU(cuGraphNodeSetEnabled)(built_exec, empty, 0));
  result("clone", CU(cuGraphClone)(&clone, built));
  say("clone types", "%s", types_of(clone).c_str());
  CUgraphNode in_clone = nullptr;
  result("find in clone", CU(cuGraphNodeFindInClone)(&in_clone, fill_node, clone));
  CUgraphExecUpdateResultInfo info{};
  result("update, same shape", CU(cuGraphExecUpdate)(built_exec, clone, &info));
  say("update result", "%d", info.result);
  result("update, other shape", CU(cuGraphExecUpdate)(built_exec, graph, &info));
  say("update result other", "%d", info.result);
  CUgraph loop = nullptr;
  CUgraphNode x = nullptr, y = nullptr;
  CU(cuGraphCreate)(&loop, 0);
  CU(cuGraphAddEmptyNode)(&x, loop, nullptr, 0);
  CU(cuGraphAddEmptyNode)(&y, loop, &x, 1);
  result("close a cycle", CU(cuGraphAddDependencies)(loop, &y, &x, nullptr, 1));
  CUgraphExec loop_exec = nullptr;
  result("instantiate cycle", CU(cuGraphInstantiate)(&loop_exec, loop, 0));
  result("destroy node", CU(cuGraphDestroyNode)(y));
  result("destroy graph", CU(cuGraphDestroy)(graph));
  result("launch after destroy", CU(cuGraphLaunch)(exec, stream));
  result("sync after destroy", CU(cuStreamSynchronize)(stream));
  result("destroy exec", CU(cuGraphExecDestroy)(exec));
  result("destroy(null)", CU(cuGraphDestroy)(nullptr));
}

void section_graph_memory() {
  const CUstream stream = make_stream();
  auto memory_of = [&](const char* what) {
    std::string text;
    for (int i = 0; i < 4; ++i) {
      cuuint64_t value = 0;
      const CUresult status = CU(cuDeviceGetGraphMemAttribute)(device(), static_cast<CUgraphMem_attribute>(i), &value);
      text += " " + (status == CUDA_SUCCESS ? std::to_string(value) : name_of(status));
    }
    say(what, "%s", text.c_str());
  };
  memory_of("fresh");
  CUgraph graph = nullptr;
  CUdeviceptr inside = 0;
  CU(cuStreamBeginCapture)(stream, CU_STREAM_CAPTURE_MODE_GLOBAL);
  result("alloc", CU(cuMemAllocAsync)(&inside, 4 * kMiB, stream));
  fill(stream, inside, 1024, 1);
  result("free", CU(cuMemFreeAsync)(inside, stream));
  result("end", CU(cuStreamEndCapture)(stream, &graph));
  say("types", "%s", types_of(graph).c_str());
  unsigned type = 0;
  result("type of captured address", CU(cuPointerGetAttribute)(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, inside));
  result("cuMemFree(captured address)", CU(cuMemFree)(inside));
  result("cuMemFreeAsync(captured address)", CU(cuMemFreeAsync)(inside, stream));
  CUgraphExec exec = nullptr, second = nullptr;
  result("instantiate", CU(cuGraphInstantiate)(&exec, graph, 0));
  result("instantiate twice", CU(cuGraphInstantiate)(&second, graph, 0));
  result("launch", CU(cuGraphLaunch)(exec, stream));
  result("launch again", CU(cuGraphLaunch)(exec, stream));
  result("sync", CU(cuStreamSynchronize)(stream));
  memory_of("after launches");
  result("trim", CU(cuDeviceGraphMemTrim)(device()));
  memory_of("after trim");

  CUgraph kept = nullptr;
  CUdeviceptr stays = 0;
  CU(cuStreamBeginCapture)(stream, CU_STREAM_CAPTURE_MODE_GLOBAL);
  CU(cuMemAllocAsync)(&stays, 4 * kMiB, stream);
  fill(stream, stays, 1024, 1);
  result("end, kept", CU(cuStreamEndCapture)(stream, &kept));
  CUgraphExec kept_exec = nullptr;
  result("instantiate kept", CU(cuGraphInstantiate)(&kept_exec, kept, 0));
  result("launch kept", CU(cuGraphLaunch)(kept_exec, stream));
  CU(cuStreamSynchronize)(stream);
  say("kept hash", "%016llx", static_cast<unsigned long long>(hash_of(stays, 4096)));
  memory_of("kept");
  result("launch kept again", CU(cuGraphLaunch)(kept_exec, stream));
  result("cuMemFreeAsync(kept)", CU(cuMemFreeAsync)(stays, stream));
  result("launch after free", CU(cuGraphLaunch)(kept_exec, stream));
  result("cuMemFree(kept)", CU(cuMemFree)(stays));
  result("sync kept", CU(cuStreamSynchronize)(stream));
  CUgraph clone = nullptr;
  result("clone", CU(cuGraphClone)(&clone, kept));
  CUgraphExec auto_free = nullptr;
  CUgraph again = nullptr;
  CU(cuStreamBeginCapture)(stream, CU_STREAM_CAPTURE_MODE_GLOBAL);
  CU(cuMemAllocAsync)(&stays, 4 * kMiB, stream);
  CU(cuStreamEndCapture)(stream, &again);
  result("instantiate auto free",
         CU(cuGraphInstantiate)(&auto_free, again, CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH));
  result("launch auto free", CU(cuGraphLaunch)(auto_free, stream));
  result("launch auto free again", CU(cuGraphLaunch)(auto_free, stream));
  result("sync auto free", CU(cuStreamSynchronize)(stream));
}

}  // namespace conformance
