// Memory outside our window that may hold addresses of ours: pinned and registered host memory (read by the CPU),
// managed memory and device memory that the program mapped itself (scanned by the GPU).
//
// Cost on the hot path when a parameter is outside the bounds of all ranges: two loads and a compare. Inside them: a
// shared lock and a binary search. A range is never removed while its bytes are being read.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "reach/functions.h"

namespace loretoken {

enum class RangeKind : uint8_t {
  kPinned,   // host memory that the CPU may read at any time
  kManaged,  // scanned by the GPU
  kForeign,  // device memory of the program's own (VMM): scanned by the GPU
};

struct KnownRange {
  uint64_t base = 0;  // as a kernel sees it (device alias) or as the host sees it; both are entered when they differ
  uint64_t bytes = 0;
  uint64_t host = 0;  // kPinned: where the CPU reads the bytes of `base`
  RangeKind kind = RangeKind::kPinned;
  Behaviour* copies = nullptr;  // kPinned: what scans behind copies out of it found
};

// Enters [host, host + bytes) and, if it is another address, its device alias. Overlapping ranges replace older ones.
void known_range_add(uint64_t host, uint64_t device_alias, uint64_t bytes, RangeKind kind);
// Removes the range(s) entered with this host (or base) address. False: none.
bool known_range_remove(uint64_t host);

std::optional<KnownRange> known_range_at(uint64_t address);

// Calls `read` with the range that contains the address while nobody can remove it. False: no range.
bool with_known_range(uint64_t address, const std::function<void(const KnownRange&)>& read);

// Bounds of all known ranges, [lo, hi); lo == hi: none. A cheap filter ahead of known_range_at().
struct RangeBounds {
  uint64_t lo = 0;
  uint64_t hi = 0;
  bool contains(uint64_t address) const { return address - lo < hi - lo; }
};
RangeBounds known_range_bounds();

}  // namespace loretoken
