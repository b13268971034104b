// Graphs as data: nodes, order, copies.
#include "graph.h"

#include <algorithm>

#include "allocate.h"
#include "api.h"
#include "capture.h"
#include "copy.h"
#include "module.h"

namespace loretoken::sim {

CUgraphNodeType body_type(const Body& body) {
  static constexpr CUgraphNodeType kTypes[] = {
      CU_GRAPH_NODE_TYPE_EMPTY,        CU_GRAPH_NODE_TYPE_KERNEL,    CU_GRAPH_NODE_TYPE_MEMCPY,
      CU_GRAPH_NODE_TYPE_MEMSET,       CU_GRAPH_NODE_TYPE_HOST,      CU_GRAPH_NODE_TYPE_BATCH_MEM_OP,
      CU_GRAPH_NODE_TYPE_MEM_ALLOC,    CU_GRAPH_NODE_TYPE_MEM_FREE,  CU_GRAPH_NODE_TYPE_GRAPH,
      CU_GRAPH_NODE_TYPE_EVENT_RECORD, CU_GRAPH_NODE_TYPE_WAIT_EVENT};
  return kTypes[body.index()];
}

Node* add_node(Graph& graph, Body body, const std::vector<Node*>& dependencies) {
  auto node = std::make_unique<Node>();
  node->graph = &graph;
  node->type = body_type(body);
  node->body = std::move(body);
  node->dependencies = dependencies;
  Node* raw = node.get();
  graph.nodes.push_back(std::move(node));
  state().nodes[raw] = &graph;
  return raw;
}

Node* find_node(CUgraphNode handle) {
  auto it = state().nodes.find(handle);
  return it == state().nodes.end() ? nullptr : reinterpret_cast<Node*>(handle);
}

void forget_nodes(Graph& graph) {
  for (auto& node : graph.nodes) {
    state().nodes.erase(node.get());
    if (auto* child = std::get_if<ChildBody>(&node->body)) {
      forget_nodes(*child->graph);
      state().graphs.remove(child->graph.get());
    }
  }
}

std::shared_ptr<Graph> clone_graph(const Graph& graph, bool list_nodes) {
  auto copy = std::make_shared<Graph>();
  std::unordered_map<const Node*, Node*> copies;
  for (auto& node : graph.nodes) {
    auto twin = std::make_unique<Node>(*node);
    twin->graph = copy.get();
    twin->original = node.get();
    if (auto* child = std::get_if<ChildBody>(&twin->body)) {
      child->graph = clone_graph(*child->graph, list_nodes);
      child->graph->child = true;
      if (list_nodes) state().graphs.add(child->graph);
    }
    copies[node.get()] = twin.get();
    if (list_nodes) state().nodes[twin.get()] = copy.get();
    copy->nodes.push_back(std::move(twin));
  }
  for (auto& node : copy->nodes)
    for (Node*& dependency : node->dependencies) dependency = copies.at(dependency);
  return copy;
}

Node* find_copy(Graph& plan, const Node* original) {
  for (auto& node : plan.nodes)
    if (node->original == original) return node.get();
  return nullptr;
}

std::vector<Node*> ordered_nodes(const Graph& graph, std::mt19937_64* random) {
  std::unordered_map<const Node*, size_t> missing;
  std::unordered_map<const Node*, std::vector<Node*>> dependents;
  std::vector<Node*> free, ordered;
  for (auto& node : graph.nodes) {
    missing[node.get()] = node->dependencies.size();
    for (Node* dependency : node->dependencies) dependents[dependency].push_back(node.get());
    if (node->dependencies.empty()) free.push_back(node.get());
  }
  while (!free.empty()) {
    const size_t pick = random ? (*random)() % free.size() : 0;
    Node* node = free[pick];
    free.erase(free.begin() + static_cast<std::ptrdiff_t>(pick));
    ordered.push_back(node);
    for (Node* next : dependents[node])
      if (--missing[next] == 0) free.push_back(next);
  }
  return ordered;
}

bool read_dependencies(Graph& graph, const CUgraphNode* handles, size_t count, std::vector<Node*>& out) {
  if (count && !handles) return false;
  for (size_t i = 0; i < count; ++i) {
    Node* node = find_node(handles[i]);
    if (!node || node->graph != &graph || std::find(out.begin(), out.end(), node) != out.end()) return false;
    out.push_back(node);
  }
  return true;
}

CUresult copy_body(const CUDA_MEMCPY3D& params, CopyBody& body) {
  body = copy_from(params);
  return check_copy(body);
}

CUresult host_body(const CUDA_HOST_NODE_PARAMS_v1& params, HostBody& body) {
  if (!params.fn) return CUDA_ERROR_INVALID_VALUE;
  body = HostBody{params.fn, nullptr, nullptr, params.userData};
  return CUDA_SUCCESS;
}

CUresult alloc_body(CUmemPoolProps props, size_t bytes, AllocBody& body, CUdeviceptr* address) {
  if (!bytes || !address || props.allocType != CU_MEM_ALLOCATION_TYPE_PINNED) return CUDA_ERROR_INVALID_VALUE;
  if (props.location.type != CU_MEM_LOCATION_TYPE_DEVICE) return CUDA_ERROR_NOT_SUPPORTED;
  Device* device = find_device(props.location.id);
  if (!device) return CUDA_ERROR_INVALID_DEVICE;
  // The address is fixed now; the memory is charged by each launch.
  Block block{0, round_up(bytes, kGranularity), true};
  if (!device->memory.take_last(block.size, block.offset)) return CUDA_ERROR_OUT_OF_MEMORY;
  auto& stack = context_stack();
  auto allocation = register_allocation(reinterpret_cast<uintptr_t>(device->memory.arena() + block.offset), bytes,
                                        Kind::kGraph, stack.back());
  allocation->device = device->ordinal;
  allocation->block = block;
  allocation->charged = false;
  ++state().graph_allocations;
  body.allocation = allocation;
  body.props = props;
  *address = allocation->base;
  return CUDA_SUCCESS;
}

CUresult body_from(CUgraphNodeParams& p, const std::shared_ptr<Context>& ctx, Body& body) {
  CUresult error = CUDA_SUCCESS;
  switch (p.type) {
    case CU_GRAPH_NODE_TYPE_KERNEL: {
      KernelBody made;
      const auto& k = p.kernel;
      error = kernel_body({k.func, k.gridDimX, k.gridDimY, k.gridDimZ, k.blockDimX, k.blockDimY, k.blockDimZ,
                           k.sharedMemBytes, k.kernelParams, k.extra, k.kern, k.ctx},
                          ctx, made);
      body = std::move(made);
      return error;
    }
    case CU_GRAPH_NODE_TYPE_MEMCPY: {
      CopyBody made;
      error = copy_body(p.memcpy.copyParams, made);
      body = std::move(made);
      return error;
    }
    case CU_GRAPH_NODE_TYPE_MEMSET: {
      MemsetBody made;
      const auto& m = p.memset;
      error = memset_body({m.dst, m.pitch, m.value, m.elementSize, m.width, m.height}, made);
      body = made;
      return error;
    }
    case CU_GRAPH_NODE_TYPE_HOST: {
      HostBody made;
      error = host_body({p.host.fn, p.host.userData}, made);
      body = made;
      return error;
    }
    case CU_GRAPH_NODE_TYPE_EMPTY:
      body = EmptyBody{};
      return CUDA_SUCCESS;
    case CU_GRAPH_NODE_TYPE_GRAPH: {
      auto child = state().graphs.find(p.graph.graph);
      if (!child) return CUDA_ERROR_INVALID_VALUE;
      auto copy = clone_graph(*child, true);
      copy->child = true;
      state().graphs.add(copy);
      body = ChildBody{copy};
      return CUDA_SUCCESS;
    }
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT: {
      const bool record = p.type == CU_GRAPH_NODE_TYPE_EVENT_RECORD;
      auto event = state().events.find(record ? p.eventRecord.event : p.eventWait.event);
      if (!event) return CUDA_ERROR_INVALID_VALUE;
      if (record) {
        body = EventRecordBody{event};
      } else {
        body = EventWaitBody{event};
      }
      return CUDA_SUCCESS;
    }
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC: {
      AllocBody made;
      error = alloc_body(p.alloc.poolProps, p.alloc.bytesize, made, &p.alloc.dptr);
      body = made;
      return error;
    }
    case CU_GRAPH_NODE_TYPE_MEM_FREE: {
      auto allocation = find_allocation(p.free.dptr);
      if (!allocation || allocation->kind != Kind::kGraph || allocation->base != p.free.dptr)
        return CUDA_ERROR_INVALID_VALUE;
      body = FreeBody{allocation};
      return CUDA_SUCCESS;
    }
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP: {
      if (!p.memOp.paramArray || !p.memOp.count) return CUDA_ERROR_INVALID_VALUE;
      MemOpBody made;
      made.ops.assign(p.memOp.paramArray, p.memOp.paramArray + p.memOp.count);
      made.flags = p.memOp.flags;
      body = std::move(made);
      return CUDA_SUCCESS;
    }
    default:
      return CUDA_ERROR_NOT_SUPPORTED;
  }
}

}  // namespace loretoken::sim
