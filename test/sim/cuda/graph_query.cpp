// Asking graphs: nodes, edges, types; user objects.
#include <algorithm>
#include <cstdio>

#include "api.h"
#include "graph.h"

using namespace loretoken::sim;

namespace {

// The common form of lists: a null list asks for the count; a longer list gets null handles behind the last.
CUresult give(const std::vector<Node*>& nodes, CUgraphNode* out, size_t* count) {
  if (!count) return CUDA_ERROR_INVALID_VALUE;
  if (out) {
    for (size_t i = 0; i < *count; ++i) out[i] = i < nodes.size() ? to_handle(nodes[i]) : nullptr;
    *count = std::min(*count, nodes.size());
  } else {
    *count = nodes.size();
  }
  return CUDA_SUCCESS;
}

void clear(CUgraphEdgeData* edges, size_t count) {
  if (edges) std::fill(edges, edges + count, CUgraphEdgeData{});
}

}  // namespace

extern "C" {

CUresult cuGraphNodeGetType(CUgraphNode handle, CUgraphNodeType* type) {
  SIM_API_LOCKED(cuGraphNodeGetType, kInit);
  Node* node = find_node(handle);
  if (!node || !type) return CUDA_ERROR_INVALID_VALUE;
  *type = node->type;
  return CUDA_SUCCESS;
}

CUresult cuGraphGetNodes(CUgraph handle, CUgraphNode* out, size_t* count) {
  SIM_API_LOCKED(cuGraphGetNodes, kInit);
  auto graph = state().graphs.find(handle);
  if (!graph) return CUDA_ERROR_INVALID_VALUE;
  std::vector<Node*> nodes;
  for (auto& node : graph->nodes) nodes.push_back(node.get());
  return give(nodes, out, count);
}

CUresult cuGraphGetRootNodes(CUgraph handle, CUgraphNode* out, size_t* count) {
  SIM_API_LOCKED(cuGraphGetRootNodes, kInit);
  auto graph = state().graphs.find(handle);
  if (!graph) return CUDA_ERROR_INVALID_VALUE;
  std::vector<Node*> nodes;
  for (auto& node : graph->nodes)
    if (node->dependencies.empty()) nodes.push_back(node.get());
  return give(nodes, out, count);
}

CUresult cuGraphGetEdges_v2(CUgraph handle, CUgraphNode* from, CUgraphNode* to, CUgraphEdgeData* edges, size_t* count) {
  SIM_API_LOCKED(cuGraphGetEdges_v2, kInit);
  auto graph = state().graphs.find(handle);
  if (!graph || !count || (from == nullptr) != (to == nullptr)) return CUDA_ERROR_INVALID_VALUE;
  std::vector<Node*> before, after;
  for (auto& node : graph->nodes) {
    for (Node* dependency : node->dependencies) {
      before.push_back(dependency);
      after.push_back(node.get());
    }
  }
  if (from) clear(edges, std::min(*count, before.size()));
  size_t room = *count;
  if (CUresult error = give(before, from, &room)) return error;
  return give(after, to, count);
}

CUresult cuGraphGetEdges(CUgraph graph, CUgraphNode* from, CUgraphNode* to, size_t* count) {
  return cuGraphGetEdges_v2(graph, from, to, nullptr, count);
}

CUresult cuGraphNodeGetDependencies_v2(CUgraphNode handle, CUgraphNode* out, CUgraphEdgeData* edges, size_t* count) {
  SIM_API_LOCKED(cuGraphNodeGetDependencies_v2, kInit);
  Node* node = find_node(handle);
  if (!node || !count) return CUDA_ERROR_INVALID_VALUE;
  if (out) clear(edges, std::min(*count, node->dependencies.size()));
  return give(node->dependencies, out, count);
}

CUresult cuGraphNodeGetDependentNodes_v2(CUgraphNode handle, CUgraphNode* out, CUgraphEdgeData* edges, size_t* count) {
  SIM_API_LOCKED(cuGraphNodeGetDependentNodes_v2, kInit);
  Node* node = find_node(handle);
  if (!node || !count) return CUDA_ERROR_INVALID_VALUE;
  std::vector<Node*> dependents;
  for (auto& other : node->graph->nodes) {
    auto& list = other->dependencies;
    if (std::find(list.begin(), list.end(), node) != list.end()) dependents.push_back(other.get());
  }
  if (out) clear(edges, std::min(*count, dependents.size()));
  return give(dependents, out, count);
}

CUresult cuGraphNodeGetDependencies(CUgraphNode node, CUgraphNode* out, size_t* count) {
  return cuGraphNodeGetDependencies_v2(node, out, nullptr, count);
}
CUresult cuGraphNodeGetDependentNodes(CUgraphNode node, CUgraphNode* out, size_t* count) {
  return cuGraphNodeGetDependentNodes_v2(node, out, nullptr, count);
}

CUresult cuGraphChildGraphNodeGetGraph(CUgraphNode handle, CUgraph* out) {
  SIM_API_LOCKED(cuGraphChildGraphNodeGetGraph, kInit);
  Node* node = find_node(handle);
  auto* child = node ? std::get_if<ChildBody>(&node->body) : nullptr;
  if (!child || !out) return CUDA_ERROR_INVALID_VALUE;
  *out = as_handle<CUgraph>(child->graph.get());
  return CUDA_SUCCESS;
}

CUresult cuGraphDebugDotPrint(CUgraph handle, const char* path, unsigned int) {
  SIM_API_LOCKED(cuGraphDebugDotPrint, kInit);
  auto graph = state().graphs.find(handle);
  if (!graph || !path) return CUDA_ERROR_INVALID_VALUE;
  std::FILE* file = std::fopen(path, "w");
  if (!file) return CUDA_ERROR_OPERATING_SYSTEM;
  std::fprintf(file, "digraph graph_1 {\n");
  for (auto& node : graph->nodes) {
    std::fprintf(file, "\"%p\" [label=\"%s\"]\n", static_cast<void*>(node.get()), body_name(node->body));
    for (Node* dependency : node->dependencies)
      std::fprintf(file, "\"%p\" -> \"%p\"\n", static_cast<void*>(dependency), static_cast<void*>(node.get()));
  }
  std::fprintf(file, "}\n");
  std::fclose(file);
  return CUDA_SUCCESS;
}

}  // extern "C"
