// One limit's way up and down: back off, hold, off. Up at once when the limit is broken, and on while it stays broken;
// down step by step after a while of calm. The while grows with each relapse, so that a load at the edge does not
// swing. The agent's ladder (device-plugin/src/guard/rail.ts) does the same.
#pragma once

#include <cstdint>

#include "guard/arbiter.h"

namespace loretoken {

// kBroken: over the limit; kCalm: well under it; kBetween: just under, where nothing moves.
enum class Strain : uint32_t { kCalm, kBetween, kBroken };

// Nanoseconds. The defaults are the agent's: escalateSeconds, releaseSeconds, mostReleaseSeconds.
struct RailSettings {
  int64_t escalate = 10'000'000'000;         // how long the limit is broken before the next step up
  int64_t release = 30'000'000'000;          // how long there is calm before a step down, at first
  int64_t most_release = 1'800'000'000'000;  // what that while grows to
};

class Rail {
 public:
  // 0: nothing; 1: packing at half its rate; 2: nothing new is packed; 3: plain CUDA.
  using Level = uint32_t;

  explicit Rail(const RailSettings& settings = {});

  // What holds after this look. `now_ns`: never less than before.
  Level look(Strain strain, uint64_t now_ns);

 private:
  void up(int64_t now);
  void down(int64_t now);

  RailSettings settings_;
  Level level_ = 0;
  int64_t pause_;
  Strain strain_ = Strain::kCalm;
  int64_t since_;  // of strain_, or of the last step
  int64_t stepped_down_at_;
};

// The mode and the pace that a level stands for; the rest of the vote is empty.
Vote vote_of(Rail::Level level);

}  // namespace loretoken
