#include "memory/address_space.h"

#include <algorithm>
#include <vector>

namespace loretoken {
namespace {

uint64_t region_of(uint64_t address) {
  return address & ~(kRegionBytes - 1);
}

}  // namespace

AddressSpace::AddressSpace(uint64_t base, uint64_t bytes) {
  const uint64_t first = (base + kPageBytes - 1) & ~(kPageBytes - 1);
  const uint64_t end = (base + bytes) & ~(kPageBytes - 1);
  if (first < end) insert_outside_holes(first, end - first);
}

void AddressSpace::insert_outside_holes(uint64_t base, uint64_t bytes) {
  const uint64_t end = base + bytes;
  for (uint64_t region = region_of(base); region < end; region += kRegionBytes) {
    const uint64_t from = std::max(base, region + kHoleBytes);
    const uint64_t to = std::min(end, region + kRegionBytes);
    if (from < to) free_.insert(from, to - from);
  }
}

uint64_t AddressSpace::take(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  uint64_t base = 0;
  if (free_.take(bytes, &base)) return base;
  return bytes > kRegionBytes - kHoleBytes ? take_across_holes(bytes) : 0;
}

uint64_t AddressSpace::take_across_holes(uint64_t bytes) {
  uint64_t start = 0;
  uint64_t reached = 0;  // end of the run that began at `start`
  for (const auto& [base, size] : free_.ranges()) {
    const bool adjoins = reached != 0 && base == reached + kHoleBytes && region_of(base) == reached;
    if (!adjoins) start = base;
    reached = base + size;
    if (reached - start < bytes) continue;
    const uint64_t end = start + bytes;
    std::vector<Extent> taken;
    for (uint64_t region = region_of(start); region < end; region += kRegionBytes) {
      const uint64_t from = std::max(start, region + kHoleBytes);
      const uint64_t to = std::min(end, region + kRegionBytes);
      if (from < to) taken.push_back({from, to - from});
    }
    for (const Extent& extent : taken) free_.remove(extent.base, extent.bytes);
    return start;
  }
  return 0;
}

void AddressSpace::release(uint64_t base, uint64_t bytes) {
  std::lock_guard lock(mutex_);
  insert_outside_holes(base, bytes);
}

uint64_t AddressSpace::free_bytes() const {
  std::lock_guard lock(mutex_);
  return free_.total();
}

}  // namespace loretoken
