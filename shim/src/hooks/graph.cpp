// Graphs: the union of the nodes' reach is collected at instantiation and made raw before each launch.
#include "hooks/operation.h"
#include "reach/graphs.h"

namespace loretoken::hooks {
namespace {

bool by_device(unsigned long long flags) {
  return (flags & CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH) != 0;
}

CUresult instantiate(CUgraphExec* exec, CUgraph graph, bool device_launch, DriverCall call) {
  return nothing_ours() ? call() : graphs().instantiate(exec, graph, device_launch, call);
}

CUresult add(CUgraphNode* node, const CUgraphNodeParams* params, DriverCall call) {
  if (nothing_ours() || params == nullptr) return call();
  const CUresult result = graphs().build_node(*params, call);
  if (result == CUDA_SUCCESS && node != nullptr && params->type == CU_GRAPH_NODE_TYPE_CONDITIONAL) {
    graphs().conditional_added(*node, params->conditional.phGraph_out, params->conditional.size);
  }
  return result;
}

CUgraphNodeParams kernel_params(CUfunction function, CUkernel kernel, void** parameters, void** extra) {
  CUgraphNodeParams params{};
  params.type = CU_GRAPH_NODE_TYPE_KERNEL;
  params.kernel.func = function;
  params.kernel.kern = kernel;
  params.kernel.kernelParams = parameters;
  params.kernel.extra = extra;
  return params;
}

CUgraphNodeParams copy_params(const CUDA_MEMCPY3D& copy) {
  CUgraphNodeParams params{};
  params.type = CU_GRAPH_NODE_TYPE_MEMCPY;
  params.memcpy.copyParams = copy;
  return params;
}

CUgraphNodeParams set_params(const CUDA_MEMSET_NODE_PARAMS& set) {
  CUgraphNodeParams params{};
  params.type = CU_GRAPH_NODE_TYPE_MEMSET;
  params.memset.dst = set.dst;
  params.memset.pitch = set.pitch;
  params.memset.elementSize = set.elementSize;
  params.memset.width = set.width;
  params.memset.height = set.height;
  return params;
}

CUresult build(const CUgraphNodeParams& params, DriverCall call) {
  return graphs().build_node(params, call);
}

CUresult update(CUgraphExec exec, const CUgraphNodeParams& params, DriverCall call) {
  return graphs().update_node(exec, params, call);
}

}  // namespace

CUresult cuGraphInstantiate(CUgraphExec* exec, CUgraph graph, CUgraphNode* failed, char* log, size_t log_bytes) {
  return instantiate(exec, graph, false,
                     [&] { return driver().cuGraphInstantiate(exec, graph, failed, log, log_bytes); });
}

CUresult cuGraphInstantiate_v2(CUgraphExec* exec, CUgraph graph, CUgraphNode* failed, char* log, size_t log_bytes) {
  return instantiate(exec, graph, false,
                     [&] { return driver().cuGraphInstantiate_v2(exec, graph, failed, log, log_bytes); });
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec* exec, CUgraph graph, unsigned long long flags) {
  return instantiate(exec, graph, by_device(flags),
                     [&] { return driver().cuGraphInstantiateWithFlags(exec, graph, flags); });
}

CUresult cuGraphInstantiateWithParams(CUgraphExec* exec, CUgraph graph, CUDA_GRAPH_INSTANTIATE_PARAMS* params,
                                      bool per_thread) {
  return instantiate(exec, graph, params != nullptr && by_device(params->flags), [&] {
    return LORETOKEN_REAL_PT(cuGraphInstantiateWithParams, cuGraphInstantiateWithParams_ptsz, per_thread)(exec, graph,
                                                                                                          params);
  });
}

CUresult cuGraphAddMemcpyNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies, size_t count,
                              const CUDA_MEMCPY3D* copy, CUcontext context) {
  const auto call = [&] { return driver().cuGraphAddMemcpyNode(node, graph, dependencies, count, copy, context); };
  return nothing_ours() || copy == nullptr ? call() : build(copy_params(*copy), call);
}

CUresult cuGraphAddMemsetNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies, size_t count,
                              const CUDA_MEMSET_NODE_PARAMS* set, CUcontext context) {
  const auto call = [&] { return driver().cuGraphAddMemsetNode(node, graph, dependencies, count, set, context); };
  return nothing_ours() || set == nullptr ? call() : build(set_params(*set), call);
}

CUresult cuGraphAddNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies, size_t count,
                        CUgraphNodeParams* params) {
  return add(node, params, [&] { return driver().cuGraphAddNode(node, graph, dependencies, count, params); });
}

CUresult cuGraphAddNode_v2(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                           const CUgraphEdgeData* edges, size_t count, CUgraphNodeParams* params) {
  return add(node, params, [&] { return driver().cuGraphAddNode_v2(node, graph, dependencies, edges, count, params); });
}

CUresult cuGraphMemcpyNodeSetParams(CUgraphNode node, const CUDA_MEMCPY3D* copy) {
  const auto call = [&] { return driver().cuGraphMemcpyNodeSetParams(node, copy); };
  return nothing_ours() || copy == nullptr ? call() : build(copy_params(*copy), call);
}

CUresult cuGraphMemsetNodeSetParams(CUgraphNode node, const CUDA_MEMSET_NODE_PARAMS* set) {
  const auto call = [&] { return driver().cuGraphMemsetNodeSetParams(node, set); };
  return nothing_ours() || set == nullptr ? call() : build(set_params(*set), call);
}

CUresult cuGraphNodeSetParams(CUgraphNode node, CUgraphNodeParams* params) {
  const auto call = [&] { return driver().cuGraphNodeSetParams(node, params); };
  return nothing_ours() || params == nullptr ? call() : build(*params, call);
}

CUresult cuGraphExecKernelNodeSetParams(CUgraphExec exec, CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS_v1* params) {
  const auto call = [&] { return driver().cuGraphExecKernelNodeSetParams(exec, node, params); };
  if (nothing_ours() || params == nullptr) return call();
  return update(exec, kernel_params(params->func, nullptr, params->kernelParams, params->extra), call);
}

CUresult cuGraphExecKernelNodeSetParams_v2(CUgraphExec exec, CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS* params) {
  const auto call = [&] { return driver().cuGraphExecKernelNodeSetParams_v2(exec, node, params); };
  if (nothing_ours() || params == nullptr) return call();
  return update(exec, kernel_params(params->func, params->kern, params->kernelParams, params->extra), call);
}

CUresult cuGraphExecMemcpyNodeSetParams(CUgraphExec exec, CUgraphNode node, const CUDA_MEMCPY3D* copy,
                                        CUcontext context) {
  const auto call = [&] { return driver().cuGraphExecMemcpyNodeSetParams(exec, node, copy, context); };
  return nothing_ours() || copy == nullptr ? call() : update(exec, copy_params(*copy), call);
}

CUresult cuGraphExecMemsetNodeSetParams(CUgraphExec exec, CUgraphNode node, const CUDA_MEMSET_NODE_PARAMS* set,
                                        CUcontext context) {
  const auto call = [&] { return driver().cuGraphExecMemsetNodeSetParams(exec, node, set, context); };
  return nothing_ours() || set == nullptr ? call() : update(exec, set_params(*set), call);
}

CUresult cuGraphExecBatchMemOpNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                            const CUDA_BATCH_MEM_OP_NODE_PARAMS* operations) {
  const auto call = [&] { return driver().cuGraphExecBatchMemOpNodeSetParams(exec, node, operations); };
  if (nothing_ours() || operations == nullptr) return call();
  CUgraphNodeParams params{};
  params.type = CU_GRAPH_NODE_TYPE_BATCH_MEM_OP;
  params.memOp.count = operations->count;
  params.memOp.paramArray = operations->paramArray;
  return update(exec, params, call);
}

CUresult cuGraphExecChildGraphNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraph child) {
  const auto call = [&] { return driver().cuGraphExecChildGraphNodeSetParams(exec, node, child); };
  return nothing_ours() ? call() : graphs().update_child(exec, child, call);
}

CUresult cuGraphExecNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraphNodeParams* params) {
  const auto call = [&] { return driver().cuGraphExecNodeSetParams(exec, node, params); };
  return nothing_ours() || params == nullptr ? call() : update(exec, *params, call);
}

CUresult cuGraphExecUpdate(CUgraphExec exec, CUgraph graph, CUgraphNode* failed, CUgraphExecUpdateResult* outcome) {
  const auto call = [&] { return driver().cuGraphExecUpdate(exec, graph, failed, outcome); };
  return nothing_ours() ? call() : graphs().update(exec, graph, call);
}

CUresult cuGraphExecUpdate_v2(CUgraphExec exec, CUgraph graph, CUgraphExecUpdateResultInfo* outcome) {
  const auto call = [&] { return driver().cuGraphExecUpdate_v2(exec, graph, outcome); };
  return nothing_ours() ? call() : graphs().update(exec, graph, call);
}

CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream, bool per_thread) {
  const auto call = [&] { return LORETOKEN_REAL_PT(cuGraphLaunch, cuGraphLaunch_ptsz, per_thread)(exec, stream); };
  return nothing_ours() ? call() : graphs().launch(exec, streams().slot_of(stream, per_thread), call);
}

CUresult cuGraphExecDestroy(CUgraphExec exec) {
  if (Runtime::get() != nullptr) graphs().destroyed(exec);
  return driver().cuGraphExecDestroy(exec);
}

}  // namespace loretoken::hooks
