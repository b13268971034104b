// Numbers of scans, so that the mover can ask "has everything that was announced before I looked reported".
//
// A scan is announced inside the section (or under the holds) of the operation it belongs to. The mover looks after its
// grace period: whoever saw a claimed unit raw has announced by then.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <set>

namespace loretoken {

class ScanSequence {
 public:
  uint64_t announce() {
    std::lock_guard lock(mutex_);
    const uint64_t number = queued_.load(std::memory_order_relaxed) + 1;
    open_.insert(number);
    queued_.store(number, std::memory_order_seq_cst);
    return number;
  }
  // Reported, or never queued.
  void done(uint64_t number) {
    std::lock_guard lock(mutex_);
    open_.erase(number);
    reported_.store(open_.empty() ? queued_.load(std::memory_order_relaxed) : *open_.begin() - 1,
                    std::memory_order_release);
  }
  bool is_done(uint64_t number) {
    std::lock_guard lock(mutex_);
    return !open_.contains(number);
  }
  uint64_t queued() const { return queued_.load(std::memory_order_seq_cst); }
  uint64_t reported() const { return reported_.load(std::memory_order_acquire); }

 private:
  std::mutex mutex_;
  std::set<uint64_t> open_;
  std::atomic<uint64_t> queued_{0};
  std::atomic<uint64_t> reported_{0};
};

}  // namespace loretoken
