// Executable graphs: instantiate, launch, update.
#include <algorithm>

#include "allocate.h"
#include "api.h"
#include "capture.h"
#include "copy.h"
#include "graph.h"
#include "graph_memory.h"
#include "module.h"

namespace loretoken::sim {

namespace {

constexpr cuuint64_t kKnownInstantiateFlags =
    CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH | CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD |
    CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH | CUDA_GRAPH_INSTANTIATE_FLAG_USE_NODE_PRIORITY;

// The driver looks up what copies and sets touch; what kernels are given it does not know.
CUresult check_operands(const Graph& graph) {
  for (const auto& node : graph.nodes) {
    CUresult error = CUDA_SUCCESS;
    if (const auto* copy = std::get_if<CopyBody>(&node->body)) error = check_copy(*copy);
    if (const auto* set = std::get_if<MemsetBody>(&node->body)) {
      const auto& s = set->set;
      if (s.width != 0) error = check_address(s.dst, (s.height - 1) * s.pitch + s.width * s.elementSize);
    }
    if (const auto* child = std::get_if<ChildBody>(&node->body)) error = check_operands(*child->graph);
    if (error != CUDA_SUCCESS) return error;
  }
  return CUDA_SUCCESS;
}

CUresult instantiate(ApiCall& api, CUgraphExec* out, CUgraph handle, cuuint64_t flags) {
  auto graph = state().graphs.find(handle);
  if (!out || !graph || flags & ~kKnownInstantiateFlags) return CUDA_ERROR_INVALID_VALUE;
  if (ordered_nodes(*graph, nullptr).size() != graph->nodes.size()) return CUDA_ERROR_INVALID_VALUE;  // a cycle
  if (CUresult error = refuse_unsafe_call()) return error;
  if (CUresult error = check_operands(*graph)) return error;
  auto exec = std::make_shared<GraphExec>();
  if (CUresult error = own_memory(*graph, exec)) return error;
  if (CUresult error = charge_graph(*graph)) return error;
  exec->plan = clone_graph(*graph, false);
  exec->ctx = api.ctx;
  exec->flags = flags;
  state().graph_execs.add(exec);
  *out = as_handle<CUgraphExec>(exec.get());
  return CUDA_SUCCESS;
}

CUresult update(GraphExec& exec, const Graph& graph, CUgraphExecUpdateResultInfo& info) {
  info = {CU_GRAPH_EXEC_UPDATE_SUCCESS, nullptr, nullptr};
  auto fail = [&](CUgraphExecUpdateResult why, Node* node) {
    info.result = why;
    info.errorNode = to_handle(node);
    return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
  };
  auto next = clone_graph(graph, false);
  const auto& old_nodes = exec.plan->nodes;
  if (old_nodes.size() != next->nodes.size()) return fail(CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED, nullptr);
  std::unordered_map<const Node*, size_t> old_index, new_index;
  for (size_t i = 0; i < old_nodes.size(); ++i) {
    old_index[old_nodes[i].get()] = i;
    new_index[next->nodes[i].get()] = i;
  }
  for (size_t i = 0; i < old_nodes.size(); ++i) {
    Node *was = old_nodes[i].get(), *is = next->nodes[i].get();
    Node* shown = const_cast<Node*>(is->original);
    if (was->type != is->type) return fail(CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED, shown);
    if (was->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC || was->type == CU_GRAPH_NODE_TYPE_MEM_FREE)
      return fail(CU_GRAPH_EXEC_UPDATE_ERROR_NOT_SUPPORTED, shown);
    std::set<size_t> before, after;
    for (Node* d : was->dependencies) before.insert(old_index.at(d));
    for (Node* d : is->dependencies) after.insert(new_index.at(d));
    if (before != after) return fail(CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED, shown);
    if (auto* kernel = std::get_if<KernelBody>(&was->body))
      if (kernel->function->ctx != std::get<KernelBody>(is->body).function->ctx)
        return fail(CU_GRAPH_EXEC_UPDATE_ERROR_UNSUPPORTED_FUNCTION_CHANGE, shown);
    is->enabled = was->enabled;
    // Handles of the first graph's nodes keep naming the nodes of this executable graph.
    is->original = was->original;
  }
  exec.plan = next;
  return CUDA_SUCCESS;
}

// Publishes a copy of the plan with the node of the original graph changed.
template <class Change>
CUresult change_node(CUgraphExec exec_handle, CUgraphNode node_handle, Change change) {
  auto exec = state().graph_execs.find(exec_handle);
  Node* original = find_node(node_handle);
  if (!exec || !original) return CUDA_ERROR_INVALID_VALUE;
  Node* now = find_copy(*exec->plan, original);
  if (!now) return CUDA_ERROR_INVALID_VALUE;
  auto plan = clone_graph(*exec->plan, false);
  Node* changed = nullptr;
  for (auto& node : plan->nodes) {
    if (node->original == now) changed = node.get();
    node->original = node->original->original;
  }
  if (CUresult error = change(*changed)) return error;
  exec->plan = plan;
  return CUDA_SUCCESS;
}

template <class MakeBody>
CUresult change_body(CUgraphExec exec, CUgraphNode node, CUgraphNodeType type, MakeBody make) {
  return change_node(
      exec, node, [&](Node& changed) { return changed.type == type ? make(changed.body) : CUDA_ERROR_INVALID_VALUE; });
}

}  // namespace

}  // namespace loretoken::sim

using namespace loretoken::sim;

extern "C" {

CUresult cuGraphInstantiateWithFlags(CUgraphExec* out, CUgraph graph, unsigned long long flags) {
  SIM_API_LOCKED(cuGraphInstantiateWithFlags, kContext);
  return instantiate(api, out, graph, flags);
}

CUresult cuGraphInstantiateWithParams(CUgraphExec* out, CUgraph graph, CUDA_GRAPH_INSTANTIATE_PARAMS* params) {
  SIM_API_LOCKED(cuGraphInstantiateWithParams, kContext);
  if (!params) return CUDA_ERROR_INVALID_VALUE;
  const CUresult error = instantiate(api, out, graph, params->flags);
  params->hErrNode_out = nullptr;
  params->result_out = error ? CUDA_GRAPH_INSTANTIATE_ERROR : CUDA_GRAPH_INSTANTIATE_SUCCESS;
  return error;
}

CUresult cuGraphInstantiate_v2(CUgraphExec* out, CUgraph graph, CUgraphNode* error_node, char* log, size_t size) {
  if (error_node) *error_node = nullptr;
  if (log && size) log[0] = 0;
  return cuGraphInstantiateWithFlags(out, graph, 0);
}

CUresult cuGraphInstantiate(CUgraphExec* out, CUgraph graph, CUgraphNode* error_node, char* log, size_t size) {
  return cuGraphInstantiate_v2(out, graph, error_node, log, size);
}

CUresult cuGraphExecGetFlags(CUgraphExec handle, cuuint64_t* flags) {
  SIM_API_LOCKED(cuGraphExecGetFlags, kInit);
  auto exec = state().graph_execs.find(handle);
  if (!exec || !flags) return CUDA_ERROR_INVALID_VALUE;
  *flags = exec->flags;
  return CUDA_SUCCESS;
}

CUresult cuGraphExecDestroy(CUgraphExec handle) {
  SIM_API_LOCKED(cuGraphExecDestroy, kInit);
  if (!state().graph_execs.remove(handle)) return CUDA_ERROR_INVALID_VALUE;
  sweep_graph_memory();
  return CUDA_SUCCESS;
}

CUresult cuGraphUpload(CUgraphExec handle, CUstream stream_handle) {
  SIM_API_LOCKED(cuGraphUpload, kContext);
  auto stream = find_stream(*api.ctx, stream_handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!state().graph_execs.find(handle)) return CUDA_ERROR_INVALID_VALUE;
  return refuse_captured(*stream);
}

CUresult cuGraphLaunch(CUgraphExec handle, CUstream stream_handle) {
  SIM_API_LOCKED(cuGraphLaunch, kContext);
  auto stream = find_stream(*api.ctx, stream_handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  auto exec = state().graph_execs.find(handle);
  if (!exec) return CUDA_ERROR_INVALID_VALUE;
  if (CUresult error = refuse_captured(*stream)) return error;
  if (CUresult error = launch_memory(*exec)) return error;
  // One executable graph never overlaps with itself.
  Markers behind;
  if (exec->last_launch) behind.push_back(exec->last_launch);
  exec->last_launch = enqueue(lock, stream, ChildBody{exec->plan}, behind);
  return CUDA_SUCCESS;
}

CUresult cuGraphExecUpdate_v2(CUgraphExec handle, CUgraph graph_handle, CUgraphExecUpdateResultInfo* info) {
  SIM_API_LOCKED(cuGraphExecUpdate_v2, kContext);
  auto exec = state().graph_execs.find(handle);
  auto graph = state().graphs.find(graph_handle);
  if (!exec || !graph || !info) return CUDA_ERROR_INVALID_VALUE;
  return update(*exec, *graph, *info);
}

CUresult cuGraphExecUpdate(CUgraphExec exec, CUgraph graph, CUgraphNode* node, CUgraphExecUpdateResult* result) {
  CUgraphExecUpdateResultInfo info{};
  const CUresult error = cuGraphExecUpdate_v2(exec, graph, &info);
  if (node) *node = info.errorNode;
  if (result) *result = info.result;
  return error;
}

CUresult cuGraphExecNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraphNodeParams* params) {
  SIM_API_LOCKED(cuGraphExecNodeSetParams, kContext);
  if (!params || params->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC) return CUDA_ERROR_INVALID_VALUE;
  return change_body(exec, node, params->type, [&](Body& body) { return body_from(*params, api.ctx, body); });
}

CUresult cuGraphExecKernelNodeSetParams_v2(CUgraphExec exec, CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS* params) {
  SIM_API_LOCKED(cuGraphExecKernelNodeSetParams_v2, kContext);
  if (!params) return CUDA_ERROR_INVALID_VALUE;
  return change_body(exec, node, CU_GRAPH_NODE_TYPE_KERNEL, [&](Body& body) {
    KernelBody made;
    const CUresult error = kernel_body(*params, std::get<KernelBody>(body).function->ctx, made);
    body = std::move(made);
    return error;
  });
}

CUresult cuGraphExecKernelNodeSetParams(CUgraphExec exec, CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS_v1* p) {
  if (!p) return CUDA_ERROR_INVALID_VALUE;
  const CUDA_KERNEL_NODE_PARAMS_v2 params{p->func,         p->gridDimX,  p->gridDimY,  p->gridDimZ,
                                          p->blockDimX,    p->blockDimY, p->blockDimZ, p->sharedMemBytes,
                                          p->kernelParams, p->extra,     nullptr,      nullptr};
  return cuGraphExecKernelNodeSetParams_v2(exec, node, &params);
}

CUresult cuGraphExecMemcpyNodeSetParams(CUgraphExec exec, CUgraphNode node, const CUDA_MEMCPY3D* params, CUcontext) {
  SIM_API_LOCKED(cuGraphExecMemcpyNodeSetParams, kContext);
  if (!params) return CUDA_ERROR_INVALID_VALUE;
  return change_body(exec, node, CU_GRAPH_NODE_TYPE_MEMCPY, [&](Body& body) {
    CopyBody made;
    const CUresult error = copy_body(*params, made);
    body = std::move(made);
    return error;
  });
}

CUresult cuGraphExecMemsetNodeSetParams(CUgraphExec exec, CUgraphNode node, const CUDA_MEMSET_NODE_PARAMS* params,
                                        CUcontext) {
  SIM_API_LOCKED(cuGraphExecMemsetNodeSetParams, kContext);
  if (!params) return CUDA_ERROR_INVALID_VALUE;
  return change_body(exec, node, CU_GRAPH_NODE_TYPE_MEMSET, [&](Body& body) {
    MemsetBody made;
    const CUresult error = memset_body(*params, made);
    body = made;
    return error;
  });
}

CUresult cuGraphExecHostNodeSetParams(CUgraphExec exec, CUgraphNode node, const CUDA_HOST_NODE_PARAMS* params) {
  SIM_API_LOCKED(cuGraphExecHostNodeSetParams, kContext);
  if (!params) return CUDA_ERROR_INVALID_VALUE;
  return change_body(exec, node, CU_GRAPH_NODE_TYPE_HOST, [&](Body& body) {
    HostBody made;
    const CUresult error = host_body(*params, made);
    body = made;
    return error;
  });
}

CUresult cuGraphExecEventRecordNodeSetEvent(CUgraphExec exec, CUgraphNode node, CUevent handle) {
  SIM_API_LOCKED(cuGraphExecEventRecordNodeSetEvent, kContext);
  auto event = state().events.find(handle);
  if (!event) return CUDA_ERROR_INVALID_VALUE;
  return change_body(exec, node, CU_GRAPH_NODE_TYPE_EVENT_RECORD,
                     [&](Body& body) { return body = EventRecordBody{event}, CUDA_SUCCESS; });
}

CUresult cuGraphExecEventWaitNodeSetEvent(CUgraphExec exec, CUgraphNode node, CUevent handle) {
  SIM_API_LOCKED(cuGraphExecEventWaitNodeSetEvent, kContext);
  auto event = state().events.find(handle);
  if (!event) return CUDA_ERROR_INVALID_VALUE;
  return change_body(exec, node, CU_GRAPH_NODE_TYPE_WAIT_EVENT,
                     [&](Body& body) { return body = EventWaitBody{event}, CUDA_SUCCESS; });
}

CUresult cuGraphExecChildGraphNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraph handle) {
  SIM_API_LOCKED(cuGraphExecChildGraphNodeSetParams, kContext);
  auto child = state().graphs.find(handle);
  if (!child) return CUDA_ERROR_INVALID_VALUE;
  return change_body(exec, node, CU_GRAPH_NODE_TYPE_GRAPH,
                     [&](Body& body) { return body = ChildBody{clone_graph(*child, false)}, CUDA_SUCCESS; });
}

CUresult cuGraphNodeSetEnabled(CUgraphExec exec, CUgraphNode node, unsigned int enabled) {
  SIM_API_LOCKED(cuGraphNodeSetEnabled, kInit);
  return change_node(exec, node, [&](Node& changed) {
    const bool can = changed.type == CU_GRAPH_NODE_TYPE_KERNEL || changed.type == CU_GRAPH_NODE_TYPE_MEMCPY ||
                     changed.type == CU_GRAPH_NODE_TYPE_MEMSET;
    if (!can) return CUDA_ERROR_INVALID_VALUE;
    changed.enabled = enabled != 0;
    return CUDA_SUCCESS;
  });
}

CUresult cuGraphNodeGetEnabled(CUgraphExec exec_handle, CUgraphNode handle, unsigned int* enabled) {
  SIM_API_LOCKED(cuGraphNodeGetEnabled, kInit);
  auto exec = state().graph_execs.find(exec_handle);
  Node* original = find_node(handle);
  Node* node = exec && original ? find_copy(*exec->plan, original) : nullptr;
  if (!node || !enabled) return CUDA_ERROR_INVALID_VALUE;
  *enabled = node->enabled;
  return CUDA_SUCCESS;
}

}  // extern "C"
