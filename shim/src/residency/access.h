// with_raw: what surrounds every real driver call that touches device memory of ours.
//
//   collect(ReachSet&)  adds the units; called once or twice; must not call the driver or take locks on its fast path
//   call()              the real driver call; queues the operation on `slot`
//
// Hot path (everything raw): enter a section, collect, mark, call, leave: no lock, no allocation, no host sync.
#pragma once

#include "residency/reach_set.h"
#include "residency/residency.h"
#include "residency/section.h"
#include "runtime/runtime.h"
#include "streams/streams.h"

namespace loretoken {

// True when every unit is kRaw and marked for the slot; false: take the slow way. Inside a section only.
bool mark_if_raw(const ReachSet& set, StreamSlot& slot);
// The slow way: make_raw, call, release holds; strict check's isolation; per device of the units.
CUresult prepare_slow(const ReachSet& set, StreamSlot& slot);
void finish_slow(const ReachSet& set, StreamSlot& slot);

template <class Collect, class Call>
CUresult with_raw(StreamSlot& slot, Collect&& collect, Call&& call) {
  if (streams().capturing(slot)) return call();  // nothing runs now; the graph's reach is made raw at its launch
  ReachSet set;
  if (!strict_check()) {
    Section section;
    collect(set);
    if (!set.everything && mark_if_raw(set, slot)) {
      const CUresult result = call();
      streams().submitted(slot);
      return result;
    }
  } else {
    collect(set);
  }
  if (const CUresult result = prepare_slow(set, slot); result != CUDA_SUCCESS) return result;
  const CUresult result = call();
  streams().submitted(slot);
  finish_slow(set, slot);
  return result;
}

}  // namespace loretoken
