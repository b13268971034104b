// The penalty guardrail of one device: the share of the time that launches waited for memory to come back, per window,
// against policy().max_penalty_permille. Over it, the allocations that cost most per byte won are left raw; if that
// does not help, mode hold, then off; back after windows of calm, more of them with each relapse.
//
// What counts as waiting: the time that calls of the program spent waiting for room (on the host), and the time that
// unpacks ran which an operation waits for (on the GPU). Work that hides one of them makes the true share smaller.
#pragma once

#include <cstdint>
#include <optional>

#include "guard/arbiter.h"
#include "guard/rail.h"
#include "residency/guarded.h"

namespace loretoken {

// Share of [0, window] in permille, at most 1000.
uint32_t permille_of(uint64_t waited_ns, uint64_t window_ns);

class PenaltyGuard {
 public:
  PenaltyGuard(int device, Arbiter& arbiter, Guarded& memory) : device_(device), arbiter_(arbiter), memory_(memory) {}

  // Guard thread. Judges when a window has passed since the last judgement.
  void look(uint64_t now_ns);

 private:
  void judge(uint32_t share, uint32_t limit, uint64_t now_ns);
  void let_go();

  const int device_;
  Arbiter& arbiter_;
  Guarded& memory_;
  std::optional<Rail> rail_;
  uint64_t window_ns_ = 0;  // of rail_
  uint64_t began_ns_ = 0;
  uint64_t waited_ns_ = 0;  // memory_'s figure when the window began
  int level_ = 0;
};

}  // namespace loretoken
