// Graphs, their nodes, and their executable copies.
#ifndef LORETOKEN_SIM_GRAPH_H
#define LORETOKEN_SIM_GRAPH_H

#include <memory>
#include <vector>

#include "state.h"

namespace loretoken::sim {

struct Node {
  Graph* graph = nullptr;
  CUgraphNodeType type = CU_GRAPH_NODE_TYPE_EMPTY;
  Body body;
  bool enabled = true;
  std::vector<Node*> dependencies;
  std::map<int, CUkernelNodeAttrValue> attributes;
  const Node* original = nullptr;  // in a clone: the node it was copied from
};

struct Graph {
  std::vector<std::unique_ptr<Node>> nodes;  // in the order they were added
  bool child = false;                        // owned by a child-graph node
};

// Immutable once published; updates publish a changed copy, so that launches in flight keep theirs.
struct GraphExec {
  std::shared_ptr<Graph> plan;
  std::shared_ptr<Context> ctx;
  std::shared_ptr<Marker> last_launch;
  cuuint64_t flags = 0;
};

CUgraphNodeType body_type(const Body& body);

// All with the lock held.
Node* add_node(Graph& graph, Body body, const std::vector<Node*>& dependencies);
std::shared_ptr<Graph> clone_graph(const Graph& graph, bool list_nodes);
// Nodes so that each comes after its dependencies; among the free ones a random choice.
std::vector<Node*> ordered_nodes(const Graph& graph, std::mt19937_64* random);
Node* find_node(CUgraphNode handle);
// The copy of `original` in a plan; null when there is none.
Node* find_copy(Graph& plan, const Node* original);
// Reads dependency arguments; false when one is no node of the graph.
bool read_dependencies(Graph& graph, const CUgraphNode* handles, size_t count, std::vector<Node*>& out);
// Drops the nodes' handles of a graph that is destroyed.
void forget_nodes(Graph& graph);

inline CUgraphNode to_handle(Node* node) {
  return reinterpret_cast<CUgraphNode>(node);
}

// Parameters to bodies, with everything checked and copied.
CUresult kernel_body(const CUDA_KERNEL_NODE_PARAMS_v2& params, const std::shared_ptr<Context>& ctx, KernelBody& body);
CUresult copy_body(const CUDA_MEMCPY3D& params, CopyBody& body);
CUresult memset_body(const CUDA_MEMSET_NODE_PARAMS_v1& params, MemsetBody& body);
CUresult host_body(const CUDA_HOST_NODE_PARAMS_v1& params, HostBody& body);
CUresult alloc_body(CUmemPoolProps props, size_t bytes, AllocBody& body, CUdeviceptr* address);
CUresult body_from(CUgraphNodeParams& params, const std::shared_ptr<Context>& ctx, Body& body);

}  // namespace loretoken::sim

#endif  // LORETOKEN_SIM_GRAPH_H
