// Making graphs: cuGraphCreate, cuGraphAdd*Node, dependencies, copies.
#include <algorithm>

#include "api.h"
#include "graph.h"
#include "graph_memory.h"

namespace loretoken::sim {

namespace {

// Adds the node after checking its dependencies; `make` fills the body.
template <class Make>
CUresult add(ApiCall&, CUgraphNode* out, CUgraph handle, const CUgraphNode* dependencies, size_t count, Make make) {
  auto graph = state().graphs.find(handle);
  std::vector<Node*> nodes;
  if (!out || !graph || !read_dependencies(*graph, dependencies, count, nodes)) return CUDA_ERROR_INVALID_VALUE;
  Body body;
  if (CUresult error = make(body)) return error;
  *out = to_handle(add_node(*graph, std::move(body), nodes));
  return CUDA_SUCCESS;
}

CUresult add_generic(ApiCall& api, CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies, size_t count,
                     CUgraphNodeParams& params) {
  return add(api, out, graph, dependencies, count, [&](Body& body) { return body_from(params, api.ctx, body); });
}

}  // namespace

}  // namespace loretoken::sim

using namespace loretoken::sim;

extern "C" {

CUresult cuGraphCreate(CUgraph* out, unsigned int flags) {
  SIM_API_LOCKED(cuGraphCreate, kInit);
  if (!out || flags) return CUDA_ERROR_INVALID_VALUE;
  auto graph = std::make_shared<Graph>();
  state().graphs.add(graph);
  *out = as_handle<CUgraph>(graph.get());
  return CUDA_SUCCESS;
}

CUresult cuGraphDestroy(CUgraph handle) {
  SIM_API_LOCKED(cuGraphDestroy, kInit);
  auto graph = state().graphs.find(handle);
  if (!graph || graph->child) return CUDA_ERROR_INVALID_VALUE;
  forget_nodes(*graph);
  state().graphs.remove(handle);
  graph.reset();
  sweep_graph_memory();
  return CUDA_SUCCESS;
}

CUresult cuGraphClone(CUgraph* out, CUgraph handle) {
  SIM_API_LOCKED(cuGraphClone, kInit);
  auto graph = state().graphs.find(handle);
  if (!out || !graph) return CUDA_ERROR_INVALID_VALUE;
  for (auto& node : graph->nodes)
    if (node->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC || node->type == CU_GRAPH_NODE_TYPE_MEM_FREE)
      return CUDA_ERROR_NOT_SUPPORTED;
  auto copy = clone_graph(*graph, true);
  state().graphs.add(copy);
  *out = as_handle<CUgraph>(copy.get());
  return CUDA_SUCCESS;
}

CUresult cuGraphNodeFindInClone(CUgraphNode* out, CUgraphNode original, CUgraph handle) {
  SIM_API_LOCKED(cuGraphNodeFindInClone, kInit);
  auto graph = state().graphs.find(handle);
  Node* node = find_node(original);
  if (!out || !graph || !node) return CUDA_ERROR_INVALID_VALUE;
  Node* copy = find_copy(*graph, node);
  if (!copy) return CUDA_ERROR_INVALID_VALUE;
  *out = to_handle(copy);
  return CUDA_SUCCESS;
}

CUresult cuGraphAddNode_v2(CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies, const CUgraphEdgeData*,
                           size_t count, CUgraphNodeParams* params) {
  SIM_API_LOCKED(cuGraphAddNode_v2, kContext);
  if (!params) return CUDA_ERROR_INVALID_VALUE;
  return add_generic(api, out, graph, dependencies, count, *params);
}

CUresult cuGraphAddNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies, size_t count,
                        CUgraphNodeParams* params) {
  return cuGraphAddNode_v2(out, graph, dependencies, nullptr, count, params);
}

CUresult cuGraphAddKernelNode_v2(CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies, size_t count,
                                 const CUDA_KERNEL_NODE_PARAMS* params) {
  SIM_API_LOCKED(cuGraphAddKernelNode_v2, kContext);
  if (!params) return CUDA_ERROR_INVALID_VALUE;
  return add(api, out, graph, dependencies, count, [&](Body& body) {
    KernelBody made;
    const CUresult error = kernel_body(*params, api.ctx, made);
    body = std::move(made);
    return error;
  });
}

CUresult cuGraphAddKernelNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies, size_t count,
                              const CUDA_KERNEL_NODE_PARAMS_v1* p) {
  if (!p) return CUDA_ERROR_INVALID_VALUE;
  const CUDA_KERNEL_NODE_PARAMS_v2 params{p->func,         p->gridDimX,  p->gridDimY,  p->gridDimZ,
                                          p->blockDimX,    p->blockDimY, p->blockDimZ, p->sharedMemBytes,
                                          p->kernelParams, p->extra,     nullptr,      nullptr};
  return cuGraphAddKernelNode_v2(out, graph, dependencies, count, &params);
}

CUresult cuGraphAddMemcpyNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies, size_t count,
                              const CUDA_MEMCPY3D* params, CUcontext ctx) {
  SIM_API_LOCKED(cuGraphAddMemcpyNode, kContext);
  if (!params || !state().contexts.find(ctx)) return CUDA_ERROR_INVALID_VALUE;
  return add(api, out, graph, dependencies, count, [&](Body& body) {
    CopyBody made;
    const CUresult error = copy_body(*params, made);
    body = std::move(made);
    return error;
  });
}

CUresult cuGraphAddMemsetNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies, size_t count,
                              const CUDA_MEMSET_NODE_PARAMS* params, CUcontext ctx) {
  SIM_API_LOCKED(cuGraphAddMemsetNode, kContext);
  if (!params || !state().contexts.find(ctx)) return CUDA_ERROR_INVALID_VALUE;
  return add(api, out, graph, dependencies, count, [&](Body& body) {
    MemsetBody made;
    const CUresult error = memset_body(*params, made);
    body = made;
    return error;
  });
}

CUresult cuGraphAddHostNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies, size_t count,
                            const CUDA_HOST_NODE_PARAMS* params) {
  SIM_API_LOCKED(cuGraphAddHostNode, kInit);
  if (!params) return CUDA_ERROR_INVALID_VALUE;
  return add(api, out, graph, dependencies, count, [&](Body& body) {
    HostBody made;
    const CUresult error = host_body(*params, made);
    body = made;
    return error;
  });
}

CUresult cuGraphAddChildGraphNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies, size_t count,
                                  CUgraph child) {
  SIM_API_LOCKED(cuGraphAddChildGraphNode, kContext);
  CUgraphNodeParams params{};
  params.type = CU_GRAPH_NODE_TYPE_GRAPH;
  params.graph.graph = child;
  return add_generic(api, out, graph, dependencies, count, params);
}

CUresult cuGraphAddEmptyNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies, size_t count) {
  SIM_API_LOCKED(cuGraphAddEmptyNode, kInit);
  return add(api, out, graph, dependencies, count, [](Body& body) { return body = EmptyBody{}, CUDA_SUCCESS; });
}

CUresult cuGraphAddEventRecordNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies, size_t count,
                                   CUevent event) {
  SIM_API_LOCKED(cuGraphAddEventRecordNode, kContext);
  CUgraphNodeParams params{};
  params.type = CU_GRAPH_NODE_TYPE_EVENT_RECORD;
  params.eventRecord.event = event;
  return add_generic(api, out, graph, dependencies, count, params);
}

CUresult cuGraphAddEventWaitNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies, size_t count,
                                 CUevent event) {
  SIM_API_LOCKED(cuGraphAddEventWaitNode, kContext);
  CUgraphNodeParams params{};
  params.type = CU_GRAPH_NODE_TYPE_WAIT_EVENT;
  params.eventWait.event = event;
  return add_generic(api, out, graph, dependencies, count, params);
}

CUresult cuGraphAddBatchMemOpNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies, size_t count,
                                  const CUDA_BATCH_MEM_OP_NODE_PARAMS* p) {
  SIM_API_LOCKED(cuGraphAddBatchMemOpNode, kContext);
  if (!p) return CUDA_ERROR_INVALID_VALUE;
  CUgraphNodeParams params{};
  params.type = CU_GRAPH_NODE_TYPE_BATCH_MEM_OP;
  params.memOp = {p->ctx, p->count, p->paramArray, p->flags};
  return add_generic(api, out, graph, dependencies, count, params);
}

CUresult cuGraphAddMemAllocNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies, size_t count,
                                CUDA_MEM_ALLOC_NODE_PARAMS* params) {
  SIM_API_LOCKED(cuGraphAddMemAllocNode, kContext);
  if (!params) return CUDA_ERROR_INVALID_VALUE;
  return add(api, out, graph, dependencies, count, [&](Body& body) {
    AllocBody made;
    const CUresult error = alloc_body(params->poolProps, params->bytesize, made, &params->dptr);
    body = made;
    return error;
  });
}

CUresult cuGraphAddMemFreeNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* dependencies, size_t count,
                               CUdeviceptr address) {
  SIM_API_LOCKED(cuGraphAddMemFreeNode, kContext);
  CUgraphNodeParams params{};
  params.type = CU_GRAPH_NODE_TYPE_MEM_FREE;
  params.free.dptr = address;
  return add_generic(api, out, graph, dependencies, count, params);
}

CUresult cuGraphAddDependencies_v2(CUgraph handle, const CUgraphNode* from, const CUgraphNode* to,
                                   const CUgraphEdgeData*, size_t count) {
  SIM_API_LOCKED(cuGraphAddDependencies_v2, kInit);
  auto graph = state().graphs.find(handle);
  if (!graph || (count && (!from || !to))) return CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < count; ++i) {
    Node *before = find_node(from[i]), *after = find_node(to[i]);
    if (!before || !after || before == after || before->graph != graph.get() || after->graph != graph.get())
      return CUDA_ERROR_INVALID_VALUE;
    auto& list = after->dependencies;
    if (std::find(list.begin(), list.end(), before) != list.end()) return CUDA_ERROR_INVALID_VALUE;
    list.push_back(before);
  }
  return CUDA_SUCCESS;
}

CUresult cuGraphRemoveDependencies_v2(CUgraph handle, const CUgraphNode* from, const CUgraphNode* to,
                                      const CUgraphEdgeData*, size_t count) {
  SIM_API_LOCKED(cuGraphRemoveDependencies_v2, kInit);
  auto graph = state().graphs.find(handle);
  if (!graph || (count && (!from || !to))) return CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < count; ++i) {
    Node *before = find_node(from[i]), *after = find_node(to[i]);
    if (!before || !after || !std::erase(after->dependencies, before)) return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}

CUresult cuGraphAddDependencies(CUgraph graph, const CUgraphNode* from, const CUgraphNode* to, size_t count) {
  return cuGraphAddDependencies_v2(graph, from, to, nullptr, count);
}
CUresult cuGraphRemoveDependencies(CUgraph graph, const CUgraphNode* from, const CUgraphNode* to, size_t count) {
  return cuGraphRemoveDependencies_v2(graph, from, to, nullptr, count);
}

CUresult cuGraphDestroyNode(CUgraphNode handle) {
  SIM_API_LOCKED(cuGraphDestroyNode, kInit);
  Node* node = find_node(handle);
  if (!node) return CUDA_ERROR_INVALID_VALUE;
  if (node->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC || node->type == CU_GRAPH_NODE_TYPE_MEM_FREE)
    return CUDA_ERROR_NOT_SUPPORTED;
  Graph& graph = *node->graph;
  for (auto& other : graph.nodes) std::erase(other->dependencies, node);
  state().nodes.erase(node);
  std::erase_if(graph.nodes, [&](auto& entry) { return entry.get() == node; });
  return CUDA_SUCCESS;
}

}  // extern "C"
