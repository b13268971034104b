#include "reach/edges.h"

#include <algorithm>

#include "memory/page_table.h"

namespace loretoken {
namespace {

// A pointer may lie a little before or behind what it is used for (one past the end, one-based arrays).
constexpr uint64_t kBias = 512;

// Calls visit(unit) for every unit that [lo, hi) touches.
template <class Visit>
void for_units(uint64_t lo, uint64_t hi, Visit&& visit) {
  while (lo < hi) {
    Unit* unit = unit_at(lo);
    if (unit != nullptr) visit(unit);
    lo = unit != nullptr && unit->base + unit->bytes > lo ? unit->base + unit->bytes
                                                          : (lo / kPageBytes + 1) * kPageBytes;
  }
}

// Pages where nothing lives: a number that looked like an address, or an address of what is freed.
// `since`, reach_clock(): what was freed after that time counts, for whoever wrote the number then may have meant it.
bool lives(uint32_t page, uint64_t since = ~uint64_t{0}) {
  const Unit* unit = unit_at(uint64_t{page} * kPageBytes);
  return unit != nullptr && ((unit->flags.load(std::memory_order_acquire) & kFlagIdle) == 0 ||
                             unit->idle_since.load(std::memory_order_relaxed) >= since);
}

}  // namespace

void add_with_row(Unit* unit, ReachSet* set) {
  if ((unit->flags.load(std::memory_order_acquire) & kFlagIdle) != 0) return;
  if (unit->row_count <= 1) {
    set->add(unit);
    return;
  }
  Unit* first = unit_by_index(unit->row_first);
  for (uint32_t i = 0; first != nullptr && i < unit->row_count; ++i) {
    if (Unit* member = unit_in_row(first, i)) set->add(member);
  }
}

template <class Visit>
void Edges::for_holders(uint64_t lo, uint64_t hi, Visit&& visit) {
  for (Map* map : {&exact_, &shared_pages_}) {
    for (auto it = map->lower_bound(hi); it != map->begin();) {
      --it;
      if (it->second.end <= lo) break;
      visit(it->first, it->second);
    }
  }
}

Edges::Holder& Edges::open(const HolderRange& range) {
  Map& map = map_of(range);
  const uint64_t end = range.base + range.bytes;
  const auto found = map.find(range.base);
  if (found != map.end() && found->second.end == end) return found->second;
  forget(map, range.base, end);
  Holder& fresh = map[range.base];
  fresh.end = end;
  fresh.ticket = next_ticket_++;
  return fresh;
}

void Edges::close_if_empty(Map& map, Map::iterator holder) {
  const uint64_t base = holder->first;
  const uint64_t end = holder->second.end;
  if (!holder->second.holds() && holder->second.pending == 0) map.erase(holder);
  refresh_flags(base, end);
}

uint32_t Edges::merge(Holder& holder, std::span<const uint32_t> pages) {
  uint32_t fresh = 0;
  for (const uint32_t page : pages) {
    if (!lives(page)) continue;
    const auto at = std::lower_bound(holder.pages.begin(), holder.pages.end(), page);
    if (at != holder.pages.end() && *at == page) continue;
    holder.pages.insert(at, page);
    ++fresh;
    Unit* target = unit_at(uint64_t{page} * kPageBytes);
    ReachSet row;
    if (target != nullptr) add_with_row(target, &row);
    for (Unit* unit : row) unit->flags.fetch_or(kFlagIsTarget, std::memory_order_acq_rel);
  }
  live_.fetch_add(fresh, std::memory_order_relaxed);
  learned_.fetch_add(fresh, std::memory_order_relaxed);
  if (fresh != 0) version_.fetch_add(1, std::memory_order_release);
  return fresh;
}

void Edges::set_flags(uint64_t base, uint64_t end, uint8_t flags) {
  for_units(base, end, [&](Unit* unit) { unit->flags.fetch_or(flags, std::memory_order_acq_rel); });
}

// Flags of the units under [base, end), from the holders that remain there.
void Edges::refresh_flags(uint64_t base, uint64_t end) {
  for_units(base, end, [&](Unit* unit) {
    uint8_t wanted = 0;
    for_holders(unit->base, unit->base + unit->bytes, [&](uint64_t, const Holder& holder) {
      if (holder.holds()) wanted |= kFlagHoldsEdges;
      if (holder.pending != 0) wanted |= kFlagScanPending;
    });
    const uint8_t unwanted = static_cast<uint8_t>((kFlagHoldsEdges | kFlagScanPending) & ~wanted);
    if (wanted != 0) unit->flags.fetch_or(wanted, std::memory_order_acq_rel);
    if (unwanted != 0) unit->flags.fetch_and(static_cast<uint8_t>(~unwanted), std::memory_order_acq_rel);
  });
}

void Edges::forget(Map& map, uint64_t lo, uint64_t hi) {
  for (auto it = map.lower_bound(hi); it != map.begin();) {
    --it;
    if (it->second.end <= lo) break;
    live_.fetch_sub(it->second.pages.size(), std::memory_order_relaxed);
    it = map.erase(it);
  }
}

void Edges::add(const HolderRange& range, std::span<const uint32_t> pages, bool replace) {
#ifndef LORETOKEN_MUTATE_ESCAPE_EDGES
  std::lock_guard lock(mutex_);
  if (pages.empty() && !map_of(range).contains(range.base)) return;
  Holder& holder = open(range);
  ++holder.written;
  if (replace) {
    live_.fetch_sub(holder.pages.size(), std::memory_order_relaxed);
    holder.pages.clear();
    holder.everything = false;
  }
  merge(holder, pages);
  close_if_empty(map_of(range), map_of(range).find(range.base));
#else
  (void)range, (void)pages, (void)replace;
#endif
}

uint64_t Edges::scan_queued(const HolderRange& range, ScanOf of) {
  std::lock_guard lock(mutex_);
  Holder& holder = open(range);
  ++holder.pending;
  if (of == ScanOf::kUnseenCopy) ++holder.pending_copies;
  if (of == ScanOf::kSeenCopy) ++holder.pending_seen;
  holder.written_at_scan = holder.written;
  holder.latest = next_ticket_++;
  set_flags(range.base, holder.end, kFlagScanPending);
  return holder.latest;
}

Edges::Report Edges::scan_reported(const HolderRange& range, uint64_t ticket, std::span<const uint32_t> pages,
                                   bool complete, ScanOf of, uint64_t queued_at) {
  Report report;
  std::lock_guard lock(mutex_);
  Map& map = map_of(range);
  const auto it = map.find(range.base);
  const bool gone = it == map.end() || ticket < it->second.ticket;  // freed meanwhile
#ifndef LORETOKEN_MUTATE_ESCAPE_EDGES
  std::vector<uint32_t> before;
  if (!gone) {
    Holder& holder = it->second;
    if (complete && of != ScanOf::kSeenCopy && holder.latest == ticket && holder.written == holder.written_at_scan) {
      before.swap(holder.pages);
      live_.fetch_sub(before.size(), std::memory_order_relaxed);
      holder.everything = false;
    } else {
      before = holder.pages;
    }
  }
  for (const uint32_t page : pages) {
    if (!lives(page, queued_at)) {
      ++report.false_alarms;
      continue;
    }
    report.found = true;
    if (std::binary_search(before.begin(), before.end(), page)) continue;
    report.found_new = true;
    report.fresh.push_back(page);
  }
#endif
  if (gone) return report;
  Holder& holder = it->second;
  --holder.pending;
  if (of == ScanOf::kUnseenCopy) --holder.pending_copies;
  if (of == ScanOf::kSeenCopy) --holder.pending_seen;
#ifndef LORETOKEN_MUTATE_ESCAPE_EDGES
  const uint64_t learned = learned_.load(std::memory_order_relaxed);
  merge(holder, pages);
  uint64_t fresh = 0;
  for (const uint32_t page : holder.pages) fresh += !std::binary_search(before.begin(), before.end(), page);
  learned_.store(learned + fresh, std::memory_order_relaxed);
  if (!complete) version_.fetch_add(1, std::memory_order_release);
  if (!complete) holder.everything = report.found = report.found_new = true;
#else
  (void)pages, (void)complete, (void)queued_at;
#endif
  close_if_empty(map, it);
  return report;
}

void Edges::freed(uint64_t base, uint64_t bytes) {
  std::lock_guard lock(mutex_);
  const uint64_t end = base + bytes;
  forget(exact_, base, end);
  // A shared page goes only when all of it is freed; else its edges stay until it is scanned again.
  std::vector<uint64_t> whole;
  for (const auto& [at, holder] : shared_pages_) {
    if (at >= base && holder.end <= end) whole.push_back(at);
  }
  for (const uint64_t at : whole) forget(shared_pages_, at, at + kPageBytes);
  refresh_flags(base, end);
}

void Edges::inherit(const HolderRange& range, uint64_t src, uint64_t bytes) {
  bool complete = true;
  const std::vector<uint32_t> pages = targets(src, bytes, &complete);
  add(range, pages, false);
  if (complete) return;
  std::lock_guard lock(mutex_);
  Holder& holder = open(range);
  holder.everything = true;
  set_flags(range.base, holder.end, kFlagHoldsEdges);
}

std::vector<uint32_t> Edges::targets(uint64_t address, uint64_t bytes, bool* complete) {
  std::lock_guard lock(mutex_);
  std::vector<uint32_t> pages;
  *complete = true;
  for_holders(address, address + bytes, [&](uint64_t, const Holder& holder) {
    pages.insert(pages.end(), holder.pages.begin(), holder.pages.end());
    if (holder.everything) *complete = false;
  });
  std::sort(pages.begin(), pages.end());
  pages.erase(std::unique(pages.begin(), pages.end()), pages.end());
  return pages;
}

template <class Condition>
bool Edges::any_holder(uint64_t address, uint64_t bytes, Condition&& condition) {
  std::lock_guard lock(mutex_);
  bool any = false;
  for_holders(address, address + bytes, [&](uint64_t, const Holder& holder) { any |= condition(holder); });
  return any;
}

bool Edges::copy_pending(uint64_t address, uint64_t bytes) {
  return any_holder(address, bytes, [](const Holder& holder) { return holder.pending_copies != 0; });
}

bool Edges::pending_writes(uint64_t address, uint64_t bytes) {
  return any_holder(address, bytes, [](const Holder& holder) { return holder.pending != holder.pending_seen; });
}

bool Edges::pending(uint64_t address, uint64_t bytes) {
  return any_holder(address, bytes, [](const Holder& holder) { return holder.pending != 0; });
}

void Edges::close(std::span<const uint64_t> addresses, ReachSet* set, Closure* result) {
  std::lock_guard lock(mutex_);
  ++visit_;
  std::vector<uint32_t> open_pages;
  const auto visit = [&](uint64_t, Holder& holder) {
    if (holder.visited == visit_) return;
    holder.visited = visit_;
    if (holder.pending != 0) result->pending = true;
    if (holder.pending_copies != 0) result->copy_pending = true;
    if (!holder.holds()) return;
    result->holders = true;
    if (holder.everything) set->everything = true;
    open_pages.insert(open_pages.end(), holder.pages.begin(), holder.pages.end());
  };
  for (const uint64_t address : addresses) for_holders(address - kBias, address + kBias + 1, visit);
  for (size_t i = 0; i < open_pages.size(); ++i) {
    const uint64_t at = uint64_t{open_pages[i]} * kPageBytes;
    Unit* unit = unit_at(at);
    if (unit == nullptr) continue;
    add_with_row(unit, set);
    if (result->reached != nullptr) result->reached->push_back(at);
#ifndef LORETOKEN_MUTATE_CLOSURE
    if ((unit->flags.load(std::memory_order_acquire) & (kFlagHoldsEdges | kFlagScanPending)) != 0) {
      for_holders(at - kBias, at + kPageBytes, visit);
    }
#endif
  }
}

}  // namespace loretoken
