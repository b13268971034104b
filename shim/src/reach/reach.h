// What a launch, copy or graph can touch (design §3.3): parameters, pinned host memory they lead to, and edges
// holder → target learned from copies and from scans on the GPU, transitively.
//
// Edges are kept per holder allocation as the set of target pages (2 MiB page numbers of the window); who lives on a
// page is looked up when used, so address reuse is safe. An edge lives until its holder is freed or a rescan no longer finds it.
#pragma once

#include <cuda.h>

#include <cstdint>

#include "memory/unit.h"
#include "residency/reach_set.h"
#include "streams/streams.h"

namespace loretoken {

class Reach {
 public:
  virtual ~Reach() = default;

  // Parameters of a launch. Hot: no lock, no driver call once the function's layout is cached; takes the edge lock
  // only if a reached unit carries kFlagHoldsEdges.
  virtual void collect_launch(CUfunction function, void** kernel_params, void** extra, ReachSet* out) = 0;
  // Operands of a copy or set: the whole allocation's units that [address, address+bytes) lies in.
  virtual void collect_range(uint64_t address, uint64_t bytes, ReachSet* out) = 0;
  // Adds, transitively, what the set's holders hold.
  virtual void close(ReachSet* set) = 0;

  // After a launch was queued: on the first launches of a function, by sampling, always for functions known to store pointers, queues a scan
  // of what it may have written behind it. No host wait (strict pointer safety: waits).
  virtual void launched(CUfunction function, void** kernel_params, void** extra, const ReachSet& set, StreamSlot& slot) = 0;
  // Cheap test for the hot path: does this function still need launched()?
  virtual bool wants_scan(CUfunction function) = 0;

  // Host bytes copied to device memory: scans `src` (CPU for small or pageable, GPU behind the copy for large) and sets dst's edges.
  // Foreign dst: targets are pinned kPointerStored.
  virtual void copied_from_host(uint64_t dst, const void* src, uint64_t bytes, StreamSlot& slot, bool async) = 0;
  // Device to device: dst inherits src's edges; foreign dst: src's targets are pinned.
  virtual void copied_on_device(uint64_t dst, uint64_t src, uint64_t bytes) = 0;
  // The allocation is gone: its edges go with it.
  virtual void freed(uint64_t base, uint64_t bytes) = 0;

  // Scans queued so far that have not reported. The mover calls poll(), and packs a unit only when no scan that was queued
  // before it was chosen is open.
  virtual uint64_t scans_queued() const = 0;   // sequence number of the last queued scan
  virtual uint64_t scans_reported() const = 0; // every scan up to this number has reported
  virtual void poll() = 0;
};

}  // namespace loretoken
