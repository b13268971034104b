// "Whose address is this" in O(1) without locks: one window of addresses for all devices, a flat table of its 2 MiB
// pages.
//
// The window's hint is 0x7C10'0000'0000 (facts: no ordinary number looks like an address in it); the first 16 MiB of
// every 4 GiB stay unused so that two neighbouring small integers never do either. If the driver puts the
// reservation elsewhere, everything works with more false alarms.
#pragma once

#include <atomic>
#include <cstdint>

#include "memory/address_space.h"
#include "memory/unit.h"

namespace loretoken {

struct Window {
  std::atomic<uint64_t> base{0};
  std::atomic<uint64_t> bytes{0};  // stored last, with release: whoever sees it sees the tables
  bool contains(uint64_t address) const {
    const uint64_t size = bytes.load(std::memory_order_acquire);
    return address - base.load(std::memory_order_relaxed) < size;
  }
};

// The process's window; base 0 and bytes 0 until the first device is set up. Constant afterwards.
const Window& window();

// The unit at an address (its guard page included), or nullptr. Cost: a compare, two dependent loads (acquire).
Unit* unit_at(uint64_t address);
// The unit after the guard page that `address` lies in, or nullptr: for pointers biased to just before an allocation.
Unit* unit_after_guard(uint64_t address);
// nullptr for an index that no unit has now.
Unit* unit_by_index(uint32_t index);
// One past the highest index given out so far.
uint32_t unit_count();

// --- for the heap ---

// Reserves the window with the driver (at the hint, else wherever it gives the most, at least `least_bytes`) and
// installs it; true at once when there is one. Not thread-safe: the runtime sets up one device at a time.
bool ensure_window(uint64_t least_bytes);

// Takes the window into use: tables of its size, all addresses free. Once per process (tests: again, when no unit is
// left). False if the tables cannot be had.
bool install_window(uint64_t base, uint64_t bytes);
AddressSpace& address_space();

// Makes `count` units in a row from `base`, in the page table with one guard page behind the last. `sizes(i)` gives the
// i-th unit's bytes. The first unit, or nullptr when the unit table is full.
Unit* create_units(uint64_t base, const uint64_t* sizes, uint32_t count, int device, UnitKind kind,
                   uint64_t content_bytes = 0);
// Takes them out again. They are unbacked and without content. The objects stay readable: a look-up that just found one
// may go on using it, so they serve again only much later.
void retire_units(Unit* first);
// The i-th unit of the row that begins at `first`.
inline Unit* unit_in_row(Unit* first, uint32_t i) {
  return i == 0 ? first : unit_by_index(first->index + i);
}

}  // namespace loretoken
