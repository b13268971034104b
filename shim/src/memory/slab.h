// Cells for small allocations. A slab unit is 2 MiB cut into spans of 64 KiB; a span holds cells of one size and
// returns when all its cells are free. Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "memory/heap_ports.h"
#include "memory/reuse_list.h"
#include "memory/unit.h"

namespace loretoken {

inline constexpr uint64_t kCellAlignment = 512;
inline constexpr uint64_t kSpanBytes = uint64_t{64} << 10;

class Slabs {
 public:
  explicit Slabs(HeapPorts& ports) : ports_(ports) {}

  // The cell size that serves `bytes` (<= kSpanBytes): multiples of 512, slack at most a third.
  static uint64_t cell_bytes(uint64_t bytes);

  // A free cell, or 0: add_unit() first.
  uint64_t take(uint64_t bytes, StreamSlot* slot);
  void add_unit(Unit* unit);
  void put(uint64_t address, uint64_t bytes, const Ticket& ticket);
  void put(uint64_t address, uint64_t bytes, Fence fence);
  uint64_t units() const { return units_; }
  void add_fences(Fence* fence) const;

 private:
  struct Span {
    uint32_t cell_class = 0;
    uint32_t live = 0;             // cells handed out or still behind a fence
    std::vector<uint64_t> unused;  // cells free for everyone
  };
  static uint32_t class_of(uint64_t bytes);
  uint64_t take_unused(uint32_t cell_class);
  void cell_is_free(uint64_t address);

  HeapPorts& ports_;
  std::unordered_map<uint64_t, Span> spans_;                  // by address, those in use
  std::vector<uint64_t> empty_spans_;                         // addresses
  std::unordered_map<uint32_t, std::vector<uint64_t>> open_;  // class → spans with unused cells (may hold stale ones)
  std::unordered_map<uint32_t, ReuseList<uint64_t>> freed_;   // class → cells
  uint64_t units_ = 0;
};

}  // namespace loretoken
