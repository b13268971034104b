#include "reach/graphs.h"

#include <algorithm>

#include "report/counters.h"

namespace loretoken {

void Graphs::pin_union(const GraphUnion& reach) {
  ReachSet set;
  Walk walk(&set);
  for (const uint64_t word : reach.words) walk.word(word);
  Closure closure;
  walk.close(core_.edges, &closure);
  for (Unit* unit : set) pin_address(unit->base, 1, Pin::kCaptured);
  for (uint32_t i = 1; reach.everything && i < unit_count(); ++i) {
    if (const Unit* unit = unit_by_index(i)) pin_address(unit->base, 1, Pin::kCaptured);
  }
}

CUresult Graphs::instantiate(CUgraphExec* exec, CUgraph graph, bool device_launch, DriverCall call) {
  GraphUnion reach;
  list(graph, &reach, 0);
  reach.settle();
  const CUresult result = core_.mapped(reach.operands, call);
  if (result != CUDA_SUCCESS || exec == nullptr) return result;
  if (device_launch) pin_union(reach);
  std::lock_guard lock(mutex_);
  behaviours_.push_back(std::make_unique<Behaviour>());
  entries_[*exec] = {std::make_shared<const GraphUnion>(std::move(reach)), behaviours_.back().get()};
  return result;
}

void Graphs::merge(CUgraphExec exec, GraphUnion more) {
  std::lock_guard lock(mutex_);
  const auto at = entries_.find(exec);
  if (at == entries_.end()) return;
  const GraphUnion& old = *at->second.reach;
  more.words.insert(more.words.end(), old.words.begin(), old.words.end());
  more.owned.insert(more.owned.end(), old.owned.begin(), old.owned.end());
  more.copies.insert(more.copies.end(), old.copies.begin(), old.copies.end());
  more.functions.insert(more.functions.end(), old.functions.begin(), old.functions.end());
  more.everything |= old.everything;
  more.settle();
  at->second.reach = std::make_shared<const GraphUnion>(std::move(more));
  at->second.behaviour->launches.store(0, std::memory_order_relaxed);
}

CUresult Graphs::update(CUgraphExec exec, CUgraph graph, DriverCall call) {
  GraphUnion fresh;
  list(graph, &fresh, 0);
  merge(exec, fresh);
  const CUresult result = core_.mapped(fresh.operands, call);
  if (result != CUDA_SUCCESS) return result;
  fresh.settle();
  std::lock_guard lock(mutex_);
  const auto at = entries_.find(exec);
  if (at != entries_.end()) at->second.reach = std::make_shared<const GraphUnion>(std::move(fresh));
  return result;
}

CUresult Graphs::update_child(CUgraphExec exec, CUgraph child, DriverCall call) {
  GraphUnion more;
  list(child, &more, 0);
  merge(exec, more);
  return core_.mapped(more.operands, call);
}

CUresult Graphs::update_node(CUgraphExec exec, const CUgraphNodeParams& params, DriverCall call) {
  GraphUnion more;
  more.everything = !list_params(params, &more);
  merge(exec, more);
  return core_.mapped(more.operands, call);
}

CUresult Graphs::build_node(const CUgraphNodeParams& params, DriverCall call) {
  GraphUnion node;
  if (params.type == CU_GRAPH_NODE_TYPE_MEMCPY || params.type == CU_GRAPH_NODE_TYPE_MEMSET) list_params(params, &node);
  return core_.mapped(node.operands, call);
}

void Graphs::destroyed(CUgraphExec exec) {
  std::lock_guard lock(mutex_);
  entries_.erase(exec);
}

void Graphs::conditional_added(CUgraphNode node, const CUgraph* bodies, unsigned int count) {
  if (bodies == nullptr) return;
  std::lock_guard lock(mutex_);
  conditionals_[node].assign(bodies, bodies + count);
}

CUresult Graphs::launch(CUgraphExec exec, StreamSlot& slot, DriverCall call) {
  if (streams().capturing(slot)) return call();
  Entry entry;
  {
    std::lock_guard lock(mutex_);
    if (const auto at = entries_.find(exec); at != entries_.end()) entry = at->second;
  }
  counters(slot.device).graph_launches.fetch_add(1, std::memory_order_relaxed);
  Carried carried;
  if (entry.reach != nullptr) {
    for (const CopySpec& spec : entry.reach->copies) core_.carry(spec, true, ~uint64_t{0}, &carried);
  }
  Behaviour& behaviour = entry.behaviour != nullptr ? *entry.behaviour : unknown_;
  const auto wants = [&](Behaviour& graph, bool holders) {
    if (entry.reach == nullptr) return true;
    const bool learning = core_.functions.wants_scan(graph, holders);
    return carried.scan || learning ||
           std::any_of(entry.reach->functions.begin(), entry.reach->functions.end(),
                       [&](auto* f) { return f->stores() || (holders && f->copies()); });
  };
  return core_.operate(
      [&](Walk& walk) {
        if (entry.reach == nullptr || entry.reach->everything) walk.everything();
        if (entry.reach == nullptr) return;
        for (const uint64_t word : entry.reach->words) walk.word(word);
      },
      [&](uint64_t) -> Behaviour& { return behaviour; }, wants, Stores::kAnything, slot, call);
}

Graphs& graphs() {
  static auto* all = new Graphs(reach_core());
  return *all;
}

}  // namespace loretoken
