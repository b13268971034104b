// What CUDA graphs can touch: per executable graph the union of its nodes' parameters, resolved at each launch, so that
// reuse of addresses is safe. A graph with a node that cannot be listed may touch everything.
#pragma once

#include <cuda.h>

#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "reach/core.h"

namespace loretoken {

// The nodes' words that lie in the window or in a known range, and the copies that carry addresses at each launch.
struct GraphUnion {
  std::vector<uint64_t> words;  // sorted, no duplicates
  std::vector<CopySpec> copies;
  std::vector<std::pair<uint64_t, uint64_t>> owned;  // memory of the graph's own: first address, bytes
  std::vector<CopySpec> operands;  // of copies and sets: the driver wants them mapped when it instantiates
  std::vector<FunctionInfo*> functions;
  bool everything = false;

  // As sink of walk_params().
  void words_at(const void* data, uint32_t count);
  void add(uint64_t word);
  void add(const CopySpec& spec);
  void settle();  // sorts; copies learn what the graph owns
};

class Graphs {
 public:
  explicit Graphs(ReachCore& core) : core_(core) {}

  // Lists the graph, makes the real call, which fills *exec, and keeps what was listed when it succeeded.
  // `device_launch`: the GPU may launch it by itself; its union is pinned.
  CUresult instantiate(CUgraphExec* exec, CUgraph graph, bool device_launch, DriverCall call);
  // New parameters for all nodes: replace what was listed when the real call succeeded.
  CUresult update(CUgraphExec exec, CUgraph graph, DriverCall call);
  // New parameters for a node: added to the union before the real call.
  CUresult update_child(CUgraphExec exec, CUgraph child, DriverCall call);
  CUresult update_node(CUgraphExec exec, const CUgraphNodeParams& params, DriverCall call);
  // A node of a graph that is being built: what copies and sets touch is mapped during the call.
  CUresult build_node(const CUgraphNodeParams& params, DriverCall call);
  void destroyed(CUgraphExec exec);
  // A conditional node's bodies, which only the call that adds it tells.
  void conditional_added(CUgraphNode node, const CUgraph* bodies, unsigned int count);

  CUresult launch(CUgraphExec exec, StreamSlot& slot, DriverCall call);

 private:
  struct Entry {
    std::shared_ptr<const GraphUnion> reach;
    Behaviour* behaviour = nullptr;  // the graph as one function: launches, class
  };
  void pin_union(const GraphUnion& reach);
  void list(CUgraph graph, GraphUnion* out, int depth);
  // False: a type that may reach anything.
  bool list_params(const CUgraphNodeParams& params, GraphUnion* out);
  void list_node(CUgraphNode node, GraphUnion* out, int depth);
  void list_kernel(CUfunction function, CUkernel kernel, void** params, void** extra, GraphUnion* out);
  void merge(CUgraphExec exec, GraphUnion more);

  ReachCore& core_;
  std::mutex mutex_;
  std::map<CUgraphExec, Entry> entries_;
  Behaviour unknown_;  // of graphs that were instantiated before there was memory of ours
  std::map<CUgraphNode, std::vector<CUgraph>> conditionals_;
  std::vector<std::unique_ptr<Behaviour>> behaviours_;  // reports of scans may come after the graph is gone
};

Graphs& graphs();

}  // namespace loretoken
