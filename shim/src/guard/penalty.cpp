#include "guard/penalty.h"

#include <algorithm>

#include "guard/policy.h"
#include "report/counters.h"

namespace loretoken {
namespace {

// In windows: how long raw allocations have to help before mode hold, and hold before off; how long calm before a step
// back, at first and at most.
constexpr int64_t kEscalate = 3;
constexpr int64_t kRelease = 2;
constexpr int64_t kMostRelease = 128;

RailSettings rail_of(uint64_t window_ns) {
  const auto window = static_cast<int64_t>(window_ns);
  return {kEscalate * window, kRelease * window, kMostRelease * window};
}

Strain strain_of(uint32_t share, uint32_t limit) {
  if (share > limit) return Strain::kBroken;
  return share <= limit / 2 ? Strain::kCalm : Strain::kBetween;
}

}  // namespace

uint32_t permille_of(uint64_t waited_ns, uint64_t window_ns) {
  if (window_ns == 0) return 0;
  return static_cast<uint32_t>(
      std::min(1000.0, 1000.0 * static_cast<double>(waited_ns) / static_cast<double>(window_ns)));
}

void PenaltyGuard::look(uint64_t now_ns) {
  const uint64_t window_ns = uint64_t{policy().penalty_window_ms.load(std::memory_order_relaxed)} * 1'000'000;
  const uint64_t waited = memory_.waited_ns();
  if (began_ns_ == 0 || window_ns != window_ns_) {
    rail_.emplace(rail_of(window_ns));
    window_ns_ = window_ns;
    began_ns_ = now_ns;
    waited_ns_ = waited;
    return;
  }
  if (now_ns - began_ns_ < window_ns) return;
  const uint32_t share = permille_of(waited - waited_ns_, now_ns - began_ns_);
  began_ns_ = now_ns;
  waited_ns_ = waited;
  counters(device_).penalty_permille.store(share, std::memory_order_relaxed);
  judge(share, policy().max_penalty_permille.load(std::memory_order_relaxed), now_ns);
}

void PenaltyGuard::judge(uint32_t share, uint32_t limit, uint64_t now_ns) {
  if (limit == 0) {
    if (level_ != 0) let_go();
    return;
  }
  const Strain strain = strain_of(share, limit);
  const int level = static_cast<int>(rail_->look(strain, now_ns));
  const int before = level_;
  level_ = level;
  if (level >= 1 && strain == Strain::kBroken) memory_.leave_raw();
  if (level == before) return;
  if (level == 0) memory_.leave_nothing_raw();
  static constexpr const char* kWords[] = {"launches wait little again", "what costs most is left raw",
                                           "launches wait too long for packed memory",
                                           "launches wait too long for packed memory"};
  static constexpr Mode kModes[] = {Mode::kFull, Mode::kFull, Mode::kHold, Mode::kOff};
  arbiter_.vote(LORETOKEN_GUARD_PENALTY, {.mode = kModes[level],
                                          .step = static_cast<uint32_t>(level),
                                          .figure = share,
                                          .limit = limit,
                                          .text = kWords[level]});
}

void PenaltyGuard::let_go() {
  level_ = 0;
  rail_.emplace(rail_of(window_ns_));
  memory_.leave_nothing_raw();
  arbiter_.vote(LORETOKEN_GUARD_PENALTY, {.text = "the limit was lifted"});
}

}  // namespace loretoken
