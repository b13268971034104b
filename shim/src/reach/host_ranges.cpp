#include "reach/host_ranges.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <shared_mutex>
#include <vector>

namespace loretoken {
namespace {

struct HostRegistry {
  std::shared_mutex mutex;
  std::vector<KnownRange> ranges;  // by base, disjoint
  std::atomic<uint64_t> lo{0};
  std::atomic<uint64_t> hi{0};
  // Never freed: a scan in flight may still report to one whose range is gone.
  std::vector<Behaviour*> unused_habits;
};

// Never destroyed: hooks may run while the process ends.
HostRegistry& host_registry() {
  static auto* instance = new HostRegistry;
  return *instance;
}

// mutex held
Behaviour* fresh_habit(HostRegistry& r) {
  if (r.unused_habits.empty()) return new Behaviour;
  Behaviour* habit = r.unused_habits.back();
  r.unused_habits.pop_back();
  FunctionTable::forget_all(*habit);
  return habit;
}

// mutex held
void enter(HostRegistry& r, const KnownRange& fresh) {
  std::erase_if(r.ranges, [&](const KnownRange& old) {
    return old.base < fresh.base + fresh.bytes && fresh.base < old.base + old.bytes;
  });
  const auto at = std::upper_bound(r.ranges.begin(), r.ranges.end(), fresh.base,
                                   [](uint64_t base, const KnownRange& range) { return base < range.base; });
  r.ranges.insert(at, fresh);
}

void publish_bounds(HostRegistry& r) {
  uint64_t hi = 0;
  for (const KnownRange& range : r.ranges) hi = std::max(hi, range.base + range.bytes);
  r.lo.store(r.ranges.empty() ? 0 : r.ranges.front().base, std::memory_order_release);
  r.hi.store(hi, std::memory_order_release);
}

const KnownRange* find(const HostRegistry& r, uint64_t address) {
  auto at = std::upper_bound(r.ranges.begin(), r.ranges.end(), address,
                             [](uint64_t a, const KnownRange& range) { return a < range.base; });
  if (at == r.ranges.begin()) return nullptr;
  --at;
  return address - at->base < at->bytes ? &*at : nullptr;
}

}  // namespace

void known_range_add(uint64_t host, uint64_t device_alias, uint64_t bytes, RangeKind kind) {
  if (bytes == 0) return;
  HostRegistry& r = host_registry();
  std::unique_lock lock(r.mutex);
  Behaviour* copies = kind == RangeKind::kPinned ? fresh_habit(r) : nullptr;
  if (host != 0) enter(r, {host, bytes, host, kind, copies});
  if (device_alias != 0 && device_alias != host) enter(r, {device_alias, bytes, host, kind, copies});
  publish_bounds(r);
}

bool known_range_remove(uint64_t host) {
  HostRegistry& r = host_registry();
  std::unique_lock lock(r.mutex);
  Behaviour* copies = nullptr;
  const size_t removed = std::erase_if(r.ranges, [&](const KnownRange& range) {
    const bool gone = range.host == host || (range.host == 0 && range.base == host);
    if (gone && range.copies != nullptr) copies = range.copies;
    return gone;
  });
  if (copies != nullptr) r.unused_habits.push_back(copies);
  if (removed != 0) publish_bounds(r);
  return removed != 0;
}

std::optional<KnownRange> known_range_at(uint64_t address) {
  if (!known_range_bounds().contains(address)) return std::nullopt;
  HostRegistry& r = host_registry();
  std::shared_lock lock(r.mutex);
  const KnownRange* range = find(r, address);
  return range != nullptr ? std::optional(*range) : std::nullopt;
}

bool with_known_range(uint64_t address, const std::function<void(const KnownRange&)>& read) {
  HostRegistry& r = host_registry();
  std::shared_lock lock(r.mutex);
  const KnownRange* range = find(r, address);
  if (range == nullptr) return false;
  read(*range);
  return true;
}

RangeBounds known_range_bounds() {
  HostRegistry& r = host_registry();
  return {r.lo.load(std::memory_order_acquire), r.hi.load(std::memory_order_acquire)};
}

}  // namespace loretoken
