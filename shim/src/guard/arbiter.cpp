#include "guard/arbiter.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/log.h"
#include "report/counters.h"
#include "report/report.h"

namespace loretoken {
namespace {

constexpr const char* kModeNames[] = {"full", "hold", "off"};

const char* name_of(Mode mode) {
  return kModeNames[static_cast<uint32_t>(mode)];
}

bool same(const Vote& a, const Vote& b) {
  return a.mode == b.mode && a.backoff == b.backoff && a.step == b.step;
}

// Whether `b` asks for less than `a`.
bool eases(const Vote& a, const Vote& b) {
  return std::tie(b.mode, b.backoff, b.step) < std::tie(a.mode, a.backoff, a.step);
}

}  // namespace

Arbiter::Arbiter(int device, Mode start) : device_(device), mode_(start) {
  votes_[0].mode = start;
  votes_[0].text = "settings";
}

bool Arbiter::vote(uint32_t guard, Vote vote) {
  if (guard >= LORETOKEN_GUARDS) return false;
  std::lock_guard lock(mutex_);
  const bool moved = !same(votes_[guard], vote);
  const bool stepped = votes_[guard].step != vote.step;
  const bool eased = eases(votes_[guard], vote);
  votes_[guard] = std::move(vote);
  return moved && decide(guard, stepped, eased);
}

bool Arbiter::decide(uint32_t changed, bool stepped, bool eased) {
  uint32_t decider = 0;
  uint32_t backoff = 0;
  for (uint32_t guard = 0; guard < LORETOKEN_GUARDS; ++guard) {
    if (votes_[guard].mode > votes_[decider].mode) decider = guard;
    backoff = std::max(backoff, votes_[guard].backoff);
  }
  const Mode old = mode_.load(std::memory_order_relaxed);
  const Mode mode = votes_[decider].mode;
  const bool paced = backoff != backoff_.load(std::memory_order_relaxed);
  if (mode == Mode::kFull && backoff != 0) {
    decider = static_cast<uint32_t>(
        std::find_if(std::begin(votes_), std::end(votes_), [&](const Vote& vote) { return vote.backoff == backoff; }) -
        std::begin(votes_));
  }
  mode_.store(mode, std::memory_order_release);
  backoff_.store(backoff, std::memory_order_relaxed);
  decided_by_.store(decider, std::memory_order_relaxed);
  counters(device_).backoff.store(backoff, std::memory_order_relaxed);
  report_mode(device_, static_cast<uint32_t>(mode), decider, votes_[decider].text.c_str());
  if (mode == old && !paced && !stepped) return false;
  const Vote& cause = votes_[changed];
  log_warn("device %d: mode %s%s (was %s): %s (%llu, limit %llu)", device_, name_of(mode),
           backoff != 0 ? ", packing slowed down" : "", name_of(old), cause.text.c_str(),
           static_cast<unsigned long long>(cause.figure), static_cast<unsigned long long>(cause.limit));
  counters(device_).guard_events[changed].fetch_add(1, std::memory_order_relaxed);
  report_event(device_, changed, static_cast<uint32_t>(old), static_cast<uint32_t>(mode), cause.figure, cause.limit,
               cause.text.c_str(), eased);
  return true;
}

}  // namespace loretoken
