#include "guard/integrity.h"

#include <algorithm>
#include <cstdio>

#include "base/log.h"
#include "guard/policy.h"
#include "report/counters.h"
#include "report/report.h"

namespace loretoken {
namespace {

constexpr size_t kKept = 4096;
constexpr uint64_t kNsPerSecond = 1'000'000'000;

}  // namespace

IntegrityGuard::IntegrityGuard(int device, Arbiter& arbiter, uint64_t (*now)())
    : device_(device), arbiter_(arbiter), now_(now) {}

// Mismatches in the window, this one included.
uint64_t IntegrityGuard::count(uint64_t threshold) {
  const uint64_t window = policy().integrity_window_s.load(std::memory_order_relaxed) * kNsPerSecond;
  std::lock_guard lock(mutex_);
  const uint64_t now = now_();
  found_.push_back(now);
  while (now - found_.front() >= window || found_.size() > std::max<uint64_t>(threshold, kKept)) found_.pop_front();
  return found_.size();
}

void IntegrityGuard::mismatch(const char* what, uint32_t unit, uint32_t bad_blocks, uint32_t blocks) {
  const uint64_t threshold = policy().integrity_threshold.load(std::memory_order_relaxed);
  const uint64_t figure = count(threshold);
  char text[128];
  snprintf(text, sizeof text, "%s: unit %u, %u of %u blocks", what, unit, bad_blocks, blocks);
  log_error("integrity on device %d: %s", device_, text);
  if (figure >= threshold) reached_.store(true, std::memory_order_release);
  if (figure >= threshold && policy().integrity.load(std::memory_order_relaxed) == Integrity::kPassthrough) {
    distrusts_.store(true, std::memory_order_relaxed);
    if (arbiter_.vote(LORETOKEN_GUARD_INTEGRITY,
                      {.mode = Mode::kOff, .figure = figure, .limit = threshold, .text = text})) {
      return;
    }
  }
  const auto mode = static_cast<uint32_t>(arbiter_.mode());
  counters(device_).guard_events[LORETOKEN_GUARD_INTEGRITY].fetch_add(1, std::memory_order_relaxed);
  report_event(device_, LORETOKEN_GUARD_INTEGRITY, mode, mode, figure, threshold, text);
}

bool IntegrityGuard::fails() const {
  return reached_.load(std::memory_order_acquire) &&
         policy().integrity.load(std::memory_order_relaxed) == Integrity::kFail;
}

}  // namespace loretoken
