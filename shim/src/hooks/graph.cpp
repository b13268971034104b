// Graphs: the union of the nodes' reach is collected at instantiation and made raw before each launch.
#include "hooks/operation.h"
#include "reach/graphs.h"

namespace loretoken::hooks {
namespace {

// `exec` is valid only after success.
CUresult after_instantiate(CUresult result, const CUgraphExec* exec, CUgraph graph, unsigned long long flags) {
  if (result == CUDA_SUCCESS && exec != nullptr && Runtime::get() != nullptr) {
    graphs().instantiated(*exec, graph, (flags & CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH) != 0);
  }
  return result;
}

CUresult after_add(CUresult result, const CUgraphNode* node, const CUgraphNodeParams* params) {
  if (result == CUDA_SUCCESS && node != nullptr && params != nullptr && Runtime::get() != nullptr &&
      params->type == CU_GRAPH_NODE_TYPE_CONDITIONAL) {
    graphs().conditional_added(*node, params->conditional.phGraph_out, params->conditional.size);
  }
  return result;
}

template <class Fill>
void before_node_update(CUgraphExec exec, CUgraphNodeType type, Fill&& fill) {
  if (Runtime::get() == nullptr) return;
  CUgraphNodeParams params{};
  params.type = type;
  fill(params);
  graphs().node_updated(exec, params);
}

}  // namespace

CUresult cuGraphInstantiate(CUgraphExec* exec, CUgraph graph, CUgraphNode* failed, char* log, size_t log_bytes) {
  return after_instantiate(driver().cuGraphInstantiate(exec, graph, failed, log, log_bytes), exec, graph, 0);
}

CUresult cuGraphInstantiate_v2(CUgraphExec* exec, CUgraph graph, CUgraphNode* failed, char* log, size_t log_bytes) {
  return after_instantiate(driver().cuGraphInstantiate_v2(exec, graph, failed, log, log_bytes), exec, graph, 0);
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec* exec, CUgraph graph, unsigned long long flags) {
  return after_instantiate(driver().cuGraphInstantiateWithFlags(exec, graph, flags), exec, graph, flags);
}

CUresult cuGraphInstantiateWithParams(CUgraphExec* exec, CUgraph graph, CUDA_GRAPH_INSTANTIATE_PARAMS* params,
                                      bool per_thread) {
  const CUresult result = LORETOKEN_REAL_PT(cuGraphInstantiateWithParams, cuGraphInstantiateWithParams_ptsz,
                                            per_thread)(exec, graph, params);
  return after_instantiate(result, exec, graph, params != nullptr ? params->flags : 0);
}

CUresult cuGraphAddNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies, size_t count,
                        CUgraphNodeParams* params) {
  return after_add(driver().cuGraphAddNode(node, graph, dependencies, count, params), node, params);
}

CUresult cuGraphAddNode_v2(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                           const CUgraphEdgeData* edges, size_t count, CUgraphNodeParams* params) {
  return after_add(driver().cuGraphAddNode_v2(node, graph, dependencies, edges, count, params), node, params);
}

CUresult cuGraphExecKernelNodeSetParams(CUgraphExec exec, CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS_v1* params) {
  if (params != nullptr) {
    before_node_update(exec, CU_GRAPH_NODE_TYPE_KERNEL, [&](CUgraphNodeParams& fresh) {
      fresh.kernel.func = params->func;
      fresh.kernel.kernelParams = params->kernelParams;
      fresh.kernel.extra = params->extra;
    });
  }
  return driver().cuGraphExecKernelNodeSetParams(exec, node, params);
}

CUresult cuGraphExecKernelNodeSetParams_v2(CUgraphExec exec, CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS* params) {
  if (params != nullptr) {
    before_node_update(exec, CU_GRAPH_NODE_TYPE_KERNEL, [&](CUgraphNodeParams& fresh) {
      fresh.kernel.func = params->func;
      fresh.kernel.kern = params->kern;
      fresh.kernel.kernelParams = params->kernelParams;
      fresh.kernel.extra = params->extra;
    });
  }
  return driver().cuGraphExecKernelNodeSetParams_v2(exec, node, params);
}

CUresult cuGraphExecMemcpyNodeSetParams(CUgraphExec exec, CUgraphNode node, const CUDA_MEMCPY3D* copy,
                                        CUcontext context) {
  if (copy != nullptr) {
    before_node_update(exec, CU_GRAPH_NODE_TYPE_MEMCPY,
                       [&](CUgraphNodeParams& fresh) { fresh.memcpy.copyParams = *copy; });
  }
  return driver().cuGraphExecMemcpyNodeSetParams(exec, node, copy, context);
}

CUresult cuGraphExecMemsetNodeSetParams(CUgraphExec exec, CUgraphNode node, const CUDA_MEMSET_NODE_PARAMS* set,
                                        CUcontext context) {
  if (set != nullptr) {
    before_node_update(exec, CU_GRAPH_NODE_TYPE_MEMSET, [&](CUgraphNodeParams& fresh) {
      fresh.memset.dst = set->dst;
      fresh.memset.pitch = set->pitch;
      fresh.memset.elementSize = set->elementSize;
      fresh.memset.width = set->width;
      fresh.memset.height = set->height;
    });
  }
  return driver().cuGraphExecMemsetNodeSetParams(exec, node, set, context);
}

CUresult cuGraphExecBatchMemOpNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                            const CUDA_BATCH_MEM_OP_NODE_PARAMS* params) {
  if (params != nullptr) {
    before_node_update(exec, CU_GRAPH_NODE_TYPE_BATCH_MEM_OP, [&](CUgraphNodeParams& fresh) {
      fresh.memOp.count = params->count;
      fresh.memOp.paramArray = params->paramArray;
    });
  }
  return driver().cuGraphExecBatchMemOpNodeSetParams(exec, node, params);
}

CUresult cuGraphExecChildGraphNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraph child) {
  if (Runtime::get() != nullptr) graphs().updated(exec, child);
  return driver().cuGraphExecChildGraphNodeSetParams(exec, node, child);
}

CUresult cuGraphExecNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraphNodeParams* params) {
  if (params != nullptr && Runtime::get() != nullptr) graphs().node_updated(exec, *params);
  return driver().cuGraphExecNodeSetParams(exec, node, params);
}

CUresult cuGraphExecUpdate(CUgraphExec exec, CUgraph graph, CUgraphNode* failed, CUgraphExecUpdateResult* outcome) {
  if (Runtime::get() != nullptr) graphs().updated(exec, graph);
  return driver().cuGraphExecUpdate(exec, graph, failed, outcome);
}

CUresult cuGraphExecUpdate_v2(CUgraphExec exec, CUgraph graph, CUgraphExecUpdateResultInfo* outcome) {
  if (Runtime::get() != nullptr) graphs().updated(exec, graph);
  return driver().cuGraphExecUpdate_v2(exec, graph, outcome);
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
