// What CUDA graphs can touch: per executable graph the union of its nodes' parameters, resolved at each launch, so that
// reuse of addresses is safe. A graph with a node that cannot be listed may touch everything.
#pragma once

#include <cuda.h>

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "reach/core.h"

namespace loretoken {

// The nodes' words that lie in the window or in a known range, and the copies that carry addresses at each launch.
struct GraphUnion {
  std::vector<uint64_t> words;  // sorted, no duplicates
  std::vector<CopySpec> copies;
  std::vector<FunctionInfo*> functions;
  bool everything = false;

  // As sink of walk_params().
  void words_at(const void* data, uint32_t count);
  void add(uint64_t word);
  void add(const CopySpec& spec);
  void settle();  // sorts
};

class Graphs {
 public:
  explicit Graphs(ReachCore& core) : core_(core) {}

  // After the real call succeeded. `device_launch`: the GPU may launch it by itself; its union is pinned.
  void instantiated(CUgraphExec exec, CUgraph graph, bool device_launch);
  // New parameters for a node of the executable graph: added to its union. Before the real call.
  void updated(CUgraphExec exec, CUgraph graph);
  void node_updated(CUgraphExec exec, const CUgraphNodeParams& params);
  void destroyed(CUgraphExec exec);
  // A conditional node's bodies, which only the call that adds it tells.
  void conditional_added(CUgraphNode node, const CUgraph* bodies, unsigned int count);

  CUresult launch(CUgraphExec exec, StreamSlot& slot, DriverCall call);

 private:
  struct Entry {
    std::shared_ptr<const GraphUnion> reach;
    FunctionInfo* behaviour = nullptr;  // the graph as one function: launches, class
  };
  void list(CUgraph graph, GraphUnion* out, int depth);
  void list_node(CUgraphNode node, GraphUnion* out, int depth);
  void list_kernel(CUfunction function, CUkernel kernel, void** params, void** extra, GraphUnion* out);
  void merge(CUgraphExec exec, GraphUnion&& more);

  ReachCore& core_;
  std::mutex mutex_;
  std::map<CUgraphExec, Entry> entries_;
  std::map<CUgraphNode, std::vector<CUgraph>> conditionals_;
  std::vector<std::unique_ptr<FunctionInfo>> behaviours_;  // reports of scans may come after the graph is gone
};

Graphs& graphs();

}  // namespace loretoken
