// "Whose address is this" in O(1) without locks: one window of addresses for all devices, a flat table of its 2 MiB pages.
//
// The window's hint is 0x7C10'0000'0000 (facts: no ordinary number looks like an address in it); the first 16 MiB of
// every 4 GiB stay unused so that two neighbouring small integers never do either. If the driver puts the
// reservation elsewhere, everything works with more false alarms.
#pragma once

#include <atomic>
#include <cstdint>

#include "memory/unit.h"

namespace loretoken {

struct Window {
  uint64_t base = 0;
  uint64_t bytes = 0;
  bool contains(uint64_t address) const { return address - base < bytes; }
};

// The process's window; base 0 and bytes 0 until the first device is set up. Constant afterwards.
const Window& window();

// The unit at an address (its guard page included), or nullptr. Cost: a compare, two dependent loads (acquire).
Unit* unit_at(uint64_t address);
// The unit after the guard page that `address` lies in, or nullptr: for pointers biased to just before an allocation.
Unit* unit_after_guard(uint64_t address);
Unit* unit_by_index(uint32_t index);

}  // namespace loretoken
