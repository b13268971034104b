// Escape edges: which ranges of memory hold addresses of ours, and of which 2 MiB pages.
//
// A holder is an allocation, a page of a shared unit (where a scan could not tell the allocations apart), or a known
// foreign range. Who lives on a target page is looked up when the edge is used, so reuse of addresses is safe.
// Every function takes the one mutex; none calls the driver or takes another lock. The units' flags kFlagHoldsEdges and
// kFlagScanPending are kept here, so that a launch that reaches no holder never comes here.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <vector>

#include "memory/unit.h"
#include "residency/reach_set.h"

namespace loretoken {

inline uint32_t page_of(uint64_t address) {
  return static_cast<uint32_t>(address / kPageBytes);
}

struct HolderRange {
  uint64_t base = 0;
  uint64_t bytes = 0;
  bool shared_page = false;  // one page of a unit that several allocations share
};

// Adds the unit, or all units of its row. Units without live content are left out.
void add_with_row(Unit* unit, ReachSet* set);

struct Closure {
  bool holders = false;                      // at least one holder was reached
  bool pending = false;                      // a holder is being scanned: what it holds may be more
  bool copy_pending = false;                 // a holder's host copy has not been scanned: its targets are not known yet
  std::vector<uint64_t>* reached = nullptr;  // wanted: one address on each page that was reached through a holder
};

// What a scan lies behind.
enum class ScanOf : uint8_t {
  kWrites,      // a kernel: it looks at the whole holder
  kUnseenCopy,  // a copy whose bytes no CPU has looked at; launches that reach the holder wait for it
  kSeenCopy,    // a copy whose bytes could change afterwards; looks at what was copied and ends no edge
};

class Edges {
 public:
  // Targets found by the CPU: added to what the holder holds, or instead of it when its whole content was replaced.
  void add(const HolderRange& holder, std::span<const uint32_t> pages, bool replace);

  // A scan of the holder is queued; the ticket goes back with the report.
  uint64_t scan_queued(const HolderRange& holder, ScanOf of);
  struct Report {
    bool found = false;           // at least one live target
    bool found_new = false;       // one that was not known
    std::vector<uint32_t> fresh;  // those, as pages
    uint32_t false_alarms = 0;
  };
  // The scan's result; `pages` sorted. Replaces the targets if it is the scan that was queued last and nothing else
  // wrote since, else adds: scans of several streams report in any order.
  // `complete` false: records are missing, the holder may hold everything. A holder that was freed meanwhile learns
  // nothing, but what was found in it still tells of the kernel: the report has it. `queued_at`, reach_clock(): a
  // target freed since then was one.
  Report scan_reported(const HolderRange& holder, uint64_t ticket, std::span<const uint32_t> pages, bool complete,
                       ScanOf of, uint64_t queued_at);

  // [base, base + bytes) is no allocation any more.
  void freed(uint64_t base, uint64_t bytes);
  // What [dst, dst + bytes) gets when [src, src + bytes) is copied there: src's targets, as edges of `holder`.
  void inherit(const HolderRange& holder, uint64_t src, uint64_t bytes);
  // Targets of all holders that intersect the range. `*complete` false: one holds everything.
  std::vector<uint32_t> targets(uint64_t address, uint64_t bytes, bool* complete);
  bool copy_pending(uint64_t address, uint64_t bytes);
  bool pending(uint64_t address, uint64_t bytes);         // any scan over holders that intersect the range
  bool pending_writes(uint64_t address, uint64_t bytes);  // one that is not kSeenCopy

  // Adds to the set what is held, transitively, where these addresses point.
  void close(std::span<const uint64_t> addresses, ReachSet* set, Closure* result);

  // Changes whenever an edge is learned: what was closed over before may reach more now.
  uint64_t version() const { return version_.load(std::memory_order_acquire); }
  uint64_t live() const { return live_.load(std::memory_order_relaxed); }
  uint64_t learned() const { return learned_.load(std::memory_order_relaxed); }

 private:
  struct Holder {
    uint64_t end = 0;
    uint64_t ticket = 0;          // when it became a holder: scans with lower ones were of who lived there before
    uint64_t latest = 0;          // the scan that was queued last
    std::vector<uint32_t> pages;  // sorted
    bool everything = false;
    uint32_t pending = 0;         // scans queued
    uint32_t pending_copies = 0;  // of these, scans of unseen copies
    uint32_t pending_seen = 0;    // and of those that the CPU had looked at
    uint32_t written = 0;         // host copies and inheritances since it is known
    uint32_t written_at_scan = 0;
    uint64_t visited = 0;
    bool holds() const { return everything || !pages.empty(); }
  };
  using Map = std::map<uint64_t, Holder>;  // by base, disjoint

  Map& map_of(const HolderRange& range) { return range.shared_page ? shared_pages_ : exact_; }
  Holder& open(const HolderRange& range);
  void close_if_empty(Map& map, Map::iterator holder);
  uint32_t merge(Holder& holder, std::span<const uint32_t> pages);
  void set_flags(uint64_t base, uint64_t end, uint8_t flags);
  void refresh_flags(uint64_t base, uint64_t end);
  template <class Condition>
  bool any_holder(uint64_t address, uint64_t bytes, Condition&& condition);
  template <class Visit>
  void for_holders(uint64_t lo, uint64_t hi, Visit&& visit);
  void forget(Map& map, uint64_t lo, uint64_t hi);

  std::mutex mutex_;
  Map exact_;
  Map shared_pages_;
  uint64_t next_ticket_ = 1;
  uint64_t visit_ = 0;
  std::atomic<uint64_t> live_{0};
  std::atomic<uint64_t> learned_{0};
  std::atomic<uint64_t> version_{0};
};

}  // namespace loretoken
