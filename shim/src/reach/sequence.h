// Scans that have been announced and have not reported: what they may still tell.
//
// A kernel can store the address of a unit only if it got it: as a parameter, or out of memory that it reached. So the
// scan behind a launch tells of units in that launch's reach set and of no others, unless the set was not all known
// then. Such scans, and those behind copies, may tell of any unit.
//
// A scan is announced inside the section (or under the holds) of the operation it belongs to. The mover looks after its
// grace period: whoever saw a claimed unit raw has announced by then.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <vector>

#include "memory/unit.h"
#include "residency/reach_set.h"

namespace loretoken {

class ScanSequence {
 public:
  // `told` nullptr: it may tell of any unit. One short lock.
  uint64_t announce(const ReachSet* told) {
    std::lock_guard lock(mutex_);
    const uint64_t number = announced_.load(std::memory_order_relaxed) + 1;
    std::vector<Unit*>& units = open_[number];
    if (told == nullptr) {
      anywhere_.insert(number);
      oldest_anywhere_.store(*anywhere_.begin(), std::memory_order_seq_cst);
    } else {
      units.assign(told->begin(), told->end());
      for (Unit* unit : units) unit->open_scans.fetch_add(1, std::memory_order_seq_cst);
    }
    announced_.store(number, std::memory_order_seq_cst);
    return number;
  }
  // Reported, or never queued.
  void done(uint64_t number) {
    std::lock_guard lock(mutex_);
    const auto scan = open_.find(number);
    if (scan == open_.end()) return;
    for (Unit* unit : scan->second) unit->open_scans.fetch_sub(1, std::memory_order_release);
    open_.erase(scan);
    if (anywhere_.erase(number) == 0) return;
    oldest_anywhere_.store(anywhere_.empty() ? kNone : *anywhere_.begin(), std::memory_order_release);
  }
  bool is_done(uint64_t number) {
    std::lock_guard lock(mutex_);
    return !open_.contains(number);
  }
  uint64_t announced() const { return announced_.load(std::memory_order_seq_cst); }
  // Whether a scan up to this number is open that may tell who holds the unit's address.
  bool may_tell_of(const Unit& unit, uint64_t up_to) const {
    const uint64_t oldest = oldest_anywhere_.load(std::memory_order_acquire);
    return unit.open_scans.load(std::memory_order_acquire) != 0 || (oldest != kNone && oldest <= up_to);
  }

 private:
  static constexpr uint64_t kNone = UINT64_MAX;
  std::mutex mutex_;
  std::map<uint64_t, std::vector<Unit*>> open_;  // the units told of; none: any
  std::set<uint64_t> anywhere_;
  std::atomic<uint64_t> announced_{0};
  std::atomic<uint64_t> oldest_anywhere_{kNone};
};

}  // namespace loretoken
