// What a launch, copy or graph can touch (design §3.3): parameters, pinned host memory they lead to, and edges
// holder → target learned from copies and from scans on the GPU, transitively.
//
// Edges are kept per holder allocation as the set of target pages (2 MiB page numbers of the window); who lives on a
// page is looked up when used, so address reuse is safe. An edge lives until its holder is freed or a rescan no longer
// finds it.
#pragma once

#include <cstdint>

namespace loretoken {

struct Unit;

class Reach {
 public:
  virtual ~Reach() = default;

  // The allocation [base, base + bytes) is gone: its edges go with it. Cheap when its units carry no edge flags; call
  // it before they lose them. Takes one short lock, waits for nothing.
  virtual void freed(uint64_t base, uint64_t bytes) = 0;

  // A scan may still tell who holds the address of a unit (sequence.h). The mover therefore claims, waits for its grace
  // period, asks for the number of the last scan, and packs a unit only when none up to that number may tell of it;
  // then kFlagIsTarget is final. Numbers are the process's.
  virtual uint64_t scans_announced() const = 0;
  virtual bool scan_may_tell_of(const Unit& unit, uint64_t up_to) const = 0;
  // Takes in what has reported, on all devices. Never waits, takes no lock of other rooms.
  virtual void poll() = 0;
};

}  // namespace loretoken
