// What a graph's nodes can touch, as the driver tells their parameters.
#include <algorithm>
#include <cstring>

#include "base/log.h"
#include "driver/driver.h"
#include "reach/graphs.h"
#include "reach/shapes.h"

namespace loretoken {
namespace {

constexpr int kDeepest = 16;

struct Sink {
  GraphUnion* out;
  void words(const void* data, uint32_t count) { out->words_at(data, count); }
  void everything() { out->everything = true; }
};

}  // namespace

void GraphUnion::words_at(const void* data, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    uint64_t word;
    std::memcpy(&word, static_cast<const unsigned char*>(data) + uint64_t{4} * i, sizeof(word));
    add(word);
  }
}

void GraphUnion::add(uint64_t word) {
  if (window().contains(word) || known_range_at(word)) words.push_back(word);
}

void GraphUnion::add(const CopySpec& spec) {
  for (const auto& [at, extent] : {std::pair(spec.dst, spec.dst_extent()), std::pair(spec.src, spec.src_extent())}) {
    if (at == 0 || extent == 0 || !window().contains(at)) continue;
    words.push_back(at);
    words.push_back(at + extent - 1);
  }
  operands.push_back(spec);
  if (spec.dst != 0 && spec.src != 0) copies.push_back(spec);
}

void GraphUnion::settle() {
  const auto owns = [&](uint64_t address) {
    return std::any_of(owned.begin(), owned.end(),
                       [&](const auto& range) { return address - range.first < range.second; });
  };
  for (CopySpec& spec : copies) {
    spec.dst_on_device |= owns(spec.dst);
    spec.src_on_device |= owns(spec.src);
  }
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  std::sort(functions.begin(), functions.end());
  functions.erase(std::unique(functions.begin(), functions.end()), functions.end());
}

void Graphs::list_kernel(CUfunction function, CUkernel kernel, void** params, void** extra, GraphUnion* out) {
  const CUfunction handle = function != nullptr ? function : reinterpret_cast<CUfunction>(kernel);
  if (handle == nullptr) {
    out->everything = true;
    return;
  }
  FunctionInfo& info = core_.functions.find(handle);
  out->functions.push_back(&info);
  Sink sink{out};
  walk_params(info, params, extra, &sink);
}

void Graphs::list(CUgraph graph, GraphUnion* out, int depth) {
  const Driver& d = driver();
  size_t count = 0;
  if (graph == nullptr || depth > kDeepest || d.cuGraphGetNodes(graph, nullptr, &count) != CUDA_SUCCESS) {
    out->everything = true;
    return;
  }
  std::vector<CUgraphNode> nodes(count);
  if (count != 0 && d.cuGraphGetNodes(graph, nodes.data(), &count) != CUDA_SUCCESS) out->everything = true;
  nodes.resize(std::min(count, nodes.size()));
  for (CUgraphNode node : nodes) list_node(node, out, depth);
}

void Graphs::list_node(CUgraphNode node, GraphUnion* out, int depth) {
  const Driver& d = driver();
  CUgraphNodeType type{};
  if (d.cuGraphNodeGetType(node, &type) != CUDA_SUCCESS) {
    out->everything = true;
    return;
  }
  bool listed = true;
  switch (type) {
    case CU_GRAPH_NODE_TYPE_KERNEL: {
      CUDA_KERNEL_NODE_PARAMS params{};
      CUkernelNodeAttrValue value{};
      const bool updatable = d.cuGraphKernelNodeGetAttribute != nullptr &&
                             d.cuGraphKernelNodeGetAttribute(node, CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE,
                                                             &value) == CUDA_SUCCESS &&
                             value.deviceUpdatableKernelNode.deviceUpdatable != 0;
      listed = !updatable && d.cuGraphKernelNodeGetParams_v2 != nullptr &&
               d.cuGraphKernelNodeGetParams_v2(node, &params) == CUDA_SUCCESS;
      if (listed) list_kernel(params.func, params.kern, params.kernelParams, params.extra, out);
      break;
    }
    case CU_GRAPH_NODE_TYPE_MEMCPY: {
      CUDA_MEMCPY3D params{};
      listed = d.cuGraphMemcpyNodeGetParams(node, &params) == CUDA_SUCCESS;
      if (listed) {
        for (const CopySpec& slice : slices_of(params)) out->add(slice);
      }
      break;
    }
    case CU_GRAPH_NODE_TYPE_MEMSET: {
      CUDA_MEMSET_NODE_PARAMS params{};
      listed = d.cuGraphMemsetNodeGetParams(node, &params) == CUDA_SUCCESS;
      if (listed) out->add({params.dst, 0, params.width * params.elementSize, params.height, params.pitch, 0});
      break;
    }
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP: {
      CUDA_BATCH_MEM_OP_NODE_PARAMS params{};
      listed = d.cuGraphBatchMemOpNodeGetParams(node, &params) == CUDA_SUCCESS;
      for (unsigned int i = 0; listed && i < params.count; ++i) {
        // The same field for waits and writes; barriers and flushes have none.
        const CUdeviceptr address = params.paramArray[i].waitValue.address;
        if (!window().contains(address)) continue;
        pin_address(address, 1, Pin::kMemOp);
        out->add(address);
      }
      break;
    }
    case CU_GRAPH_NODE_TYPE_GRAPH: {
      CUgraph child = nullptr;
      listed = d.cuGraphChildGraphNodeGetGraph(node, &child) == CUDA_SUCCESS;
      if (listed) list(child, out, depth + 1);
      break;
    }
    case CU_GRAPH_NODE_TYPE_CONDITIONAL: {
      std::vector<CUgraph> bodies;
      {
        std::lock_guard lock(mutex_);
        if (const auto at = conditionals_.find(node); at != conditionals_.end()) bodies = at->second;
      }
      listed = !bodies.empty();
      for (CUgraph body : bodies) list(body, out, depth + 1);
      break;
    }
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC: {
      CUDA_MEM_ALLOC_NODE_PARAMS params{};
      listed = d.cuGraphMemAllocNodeGetParams(node, &params) == CUDA_SUCCESS;
      if (listed) out->owned.emplace_back(params.dptr, params.bytesize);
      break;
    }
    case CU_GRAPH_NODE_TYPE_HOST:
    case CU_GRAPH_NODE_TYPE_EMPTY:
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
    case CU_GRAPH_NODE_TYPE_EXT_SEMAS_SIGNAL:
    case CU_GRAPH_NODE_TYPE_EXT_SEMAS_WAIT:
    case CU_GRAPH_NODE_TYPE_MEM_FREE:
      break;
    default:
      listed = false;
  }
  if (listed) return;
  if (!out->everything) log_info("a graph has a node whose memory cannot be listed (type %d)", static_cast<int>(type));
  out->everything = true;
}

bool Graphs::list_params(const CUgraphNodeParams& params, GraphUnion* out) {
  switch (params.type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
      list_kernel(params.kernel.func, params.kernel.kern, params.kernel.kernelParams, params.kernel.extra, out);
      return true;
    case CU_GRAPH_NODE_TYPE_MEMCPY:
      for (const CopySpec& slice : slices_of(params.memcpy.copyParams)) out->add(slice);
      return true;
    case CU_GRAPH_NODE_TYPE_MEMSET: {
      const CUDA_MEMSET_NODE_PARAMS_v2& set = params.memset;
      out->add({set.dst, 0, set.width * set.elementSize, set.height, set.pitch, 0});
      return true;
    }
    case CU_GRAPH_NODE_TYPE_GRAPH:
      list(params.graph.graph, out, 1);
      return true;
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
      for (unsigned int i = 0; i < params.memOp.count; ++i) {
        const CUdeviceptr address = params.memOp.paramArray[i].waitValue.address;
        if (!window().contains(address)) continue;
        pin_address(address, 1, Pin::kMemOp);
        out->add(address);
      }
      return true;
    case CU_GRAPH_NODE_TYPE_HOST:
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
    case CU_GRAPH_NODE_TYPE_EXT_SEMAS_SIGNAL:
    case CU_GRAPH_NODE_TYPE_EXT_SEMAS_WAIT:
      return true;
    default:
      return false;
  }
}

}  // namespace loretoken
