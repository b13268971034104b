// Memory that graphs allocate: addresses are fixed with the node, physical memory is held from the instantiation on
// and, when it was trimmed, from the next launch on.
#ifndef LORETOKEN_SIM_GRAPH_MEMORY_H
#define LORETOKEN_SIM_GRAPH_MEMORY_H

#include "graph.h"

namespace loretoken::sim {

// Makes the executable graph the only one that makes these allocations: NOT_SUPPORTED while another one lives.
CUresult own_memory(const Graph& graph, const std::shared_ptr<GraphExec>& exec);
// Charges what the graph's allocation nodes need and do not hold. OUT_OF_MEMORY leaves nothing charged by this call.
CUresult charge_graph(const Graph& graph);
// What a launch does to the graph's allocations, at the call: INVALID_VALUE when one still lives and the launch would
// make it again.
CUresult launch_memory(GraphExec& exec);
// Gives back what no graph refers to any more and is not alive.
void sweep_graph_memory();

}  // namespace loretoken::sim

#endif  // LORETOKEN_SIM_GRAPH_MEMORY_H
