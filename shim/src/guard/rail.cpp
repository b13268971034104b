#include "guard/rail.h"

#include <algorithm>
#include <limits>

namespace loretoken {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::min() / 2;  // differences with it do not overflow
constexpr Rail::Level kLastLevel = 3;
constexpr int64_t kForgetFactor = 4;  // so many pauses of calm at level 0, and the next time is as the first

}  // namespace

Rail::Rail(const RailSettings& settings)
    : settings_(settings), pause_(settings.release), since_(kNever), stepped_down_at_(kNever) {}

Rail::Level Rail::look(Strain strain, uint64_t now_ns) {
  const auto now = static_cast<int64_t>(now_ns);
  if (strain != strain_) {
    strain_ = strain;
    since_ = now;
  }
  if (strain == Strain::kBroken) up(now);
  if (strain == Strain::kCalm) down(now);
  return level_;
}

void Rail::up(int64_t now) {
  if (level_ > 0 && now - since_ < settings_.escalate) return;
  if (level_ == kLastLevel) return;
  if (now - stepped_down_at_ < pause_) pause_ = std::min(pause_ * 2, settings_.most_release);
  ++level_;
  since_ = now;
}

void Rail::down(int64_t now) {
  const int64_t calm = now - since_;
  if (level_ == 0) {
    if (calm >= pause_ * kForgetFactor) pause_ = settings_.release;
    return;
  }
  if (calm < pause_) return;
  --level_;
  stepped_down_at_ = now;
  since_ = now;
}

Vote vote_of(Rail::Level level) {
  constexpr Mode kModes[] = {Mode::kFull, Mode::kFull, Mode::kHold, Mode::kOff};
  Vote vote;
  vote.mode = kModes[std::min(level, kLastLevel)];
  vote.backoff = level == 0 ? 0 : 1;
  return vote;
}

}  // namespace loretoken
