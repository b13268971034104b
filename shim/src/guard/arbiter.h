// The mode of one device: the strictest of what its guards vote for. Each guard has one vote and may change it at any
// time; a change of the mode, of the pace of packing, or of a guard's own step is one event with the guard's figures.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

#include "base/settings.h"
#include "loretoken/abi.h"

namespace loretoken {

// What a guard asks for. `figure` and `limit` in the guard's unit: milli-degrees (thermal; as a margin negative in
// both), milliwatts (power), permille (penalty), counts (integrity), XID number (device; limit 0).
struct Vote {
  Mode mode = Mode::kFull;  // at most this much
  uint32_t backoff = 0;     // packing runs at 1 / 2^n of its rate
  uint32_t step = 0;        // a guard's own measure besides these; a change of it is an event too
  uint64_t figure = 0;
  uint64_t limit = 0;
  std::string text;  // why, in words without the figures; cut at 63 bytes in the row, at 127 in the event
};

class Arbiter {
 public:
  // `start`: what the settings ask for, the vote of guard 0.
  Arbiter(int device, Mode start);

  // Cost: one acquire load.
  Mode mode() const { return mode_.load(std::memory_order_acquire); }
  uint32_t backoff() const { return backoff_.load(std::memory_order_relaxed); }
  // The guard that decides the mode now, 0: the settings or the policy.
  uint32_t decided_by() const { return decided_by_.load(std::memory_order_relaxed); }

  // Any thread; a vote that says what the guard said before changes nothing. `guard`: LORETOKEN_GUARD_*, or 0 for the
  // settings or the policy. True: the mode or the pace changed by it, and an event tells of it.
  bool vote(uint32_t guard, Vote vote);

 private:
  bool decide(uint32_t changed, bool stepped, bool eased);  // mutex_ held

  const int device_;
  std::mutex mutex_;
  Vote votes_[LORETOKEN_GUARDS];
  std::atomic<Mode> mode_;
  std::atomic<uint32_t> backoff_{0};
  std::atomic<uint32_t> decided_by_{0};
};

}  // namespace loretoken
