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
// Holds keep a unit raw outside of sections: for calls that may block the host.
void take_holds(const ReachSet& set);
void drop_holds(const ReachSet& set);
// The slow way: makes the set raw per device (each unit then carries a hold), strict check's isolation.
CUresult prepare_slow(ReachSet& set, StreamSlot& slot);
void finish_slow(const ReachSet& set, StreamSlot& slot);

enum class Blocking : bool { kNo, kYes };  // kYes: the real call may wait for the GPU (synchronous copies)

template <class Collect, class Call>
CUresult with_raw(StreamSlot& slot, Collect&& collect, Call&& call, Blocking blocking = Blocking::kNo) {
  if (streams().capturing(slot)) return call();  // nothing runs now; the graph's reach is made raw at its launch
  ReachSet set;
  if (!strict_check()) {
    Section section;
    collect(set);
    if (!set.everything && mark_if_raw(set, slot)) {
      if (blocking == Blocking::kYes && set.size() != 0) {
        take_holds(set);
        section.leave();
      }
      const CUresult result = call();
      streams().submitted(slot);
      if (blocking == Blocking::kYes && set.size() != 0) drop_holds(set);
      return result;
    }
  } else {
    collect(set);
  }
  if (set.size() == 0 && !set.everything) {
    const CUresult result = call();
    streams().submitted(slot);
    return result;
  }
  if (const CUresult result = prepare_slow(set, slot); result != CUDA_SUCCESS) return result;
  const CUresult result = call();
  streams().submitted(slot);
  finish_slow(set, slot);
  return result;
}

}  // namespace loretoken
