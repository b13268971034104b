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

// True when every unit is kRaw, or held by the caller, and marked for the slot; false: take the slow way. Inside a
// section only.
bool mark_if_raw(const ReachSet& set, const ReachSet& held, StreamSlot& slot);
// Holds keep a unit raw outside of sections: for calls that may block the host.
void take_holds(const ReachSet& set);
void drop_holds(const ReachSet& set);
// The slow way: makes the set raw per device (each unit then carries a hold), strict check's isolation. An unsuccessful
// call leaves nothing held.
CUresult prepare_slow(ReachSet& set, StreamSlot& slot);
// For driver calls that look addresses up but queue nothing (a captured copy, a graph's nodes and its instantiation:
// the driver refuses what is not mapped): everything in the set is mapped until drop_mapped(). Waits on the host;
// inside a capture too. An unsuccessful call leaves nothing held.
CUresult hold_mapped(ReachSet& set);
void drop_mapped(const ReachSet& set);
// After an operation on the set that waited for the GPU: CUDA_ERROR_ECC_UNCORRECTABLE when damage was found before it
// that no call has returned yet, and the policy is to fail.
CUresult damage_before(const ReachSet& set);
// The same for whatever device, after a call that waited for the GPU. Nothing being unpacked: loads only.
CUresult damage_found();
// Strict check: waits for the operation and returns its fault.
CUresult finish_slow(const ReachSet& set, StreamSlot& slot);
// Strict check, after an operation that reached nothing of ours: as finish_slow.
CUresult finish_alone(StreamSlot& slot);

// The function this thread launches now, for strict check's report of a fault; nullptr for other operations.
inline thread_local CUfunction t_launching __attribute__((tls_model("initial-exec"))) = nullptr;

enum class Blocking : bool { kNo, kYes };  // kYes: the real call may wait for the GPU (synchronous copies)

template <class Collect, class Call>
CUresult with_raw(StreamSlot& slot, Collect&& collect, Call&& call, Blocking blocking = Blocking::kNo) {
  if (streams().capturing(slot)) return call();  // nothing runs now; the graph's reach is made raw at its launch
  ReachSet set;
  ReachSet held;
  bool prepared = false;
  for (;;) {
    {
      // The reach is collected and the call is made in one section: an edge that is learned meanwhile is seen either
      // by us or, through wait_for_readers(), by the mover.
      Section section;
      set.clear();
      collect(set);
      const bool complete = set.everything ? held.everything : mark_if_raw(set, held, slot);
      if (complete && (prepared || !strict_check() || set.size() == 0)) {
        const bool hold = blocking == Blocking::kYes && set.size() != 0;
        if (hold) {
          take_holds(set);
          section.leave();
        }
        CUresult result = call();
        streams().submitted(slot);
        if (hold) {
          drop_holds(set);
          if (result == CUDA_SUCCESS) result = damage_before(set);
        }
        section.leave();
        if (!prepared && !strict_check()) return result;
        const CUresult fault = prepared ? finish_slow(held, slot) : finish_alone(slot);
        return result != CUDA_SUCCESS ? result : fault;
      }
    }
    if (prepared) finish_slow(held, slot);
    prepared = false;
    if (const CUresult result = prepare_slow(set, slot); result != CUDA_SUCCESS) return result;
    prepared = true;
    held.clear();
    for (Unit* unit : set) held.add(unit);
    held.everything = set.everything;
  }
}

}  // namespace loretoken
