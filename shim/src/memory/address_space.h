// Which addresses of the window are taken. The first 16 MiB of every 4 GiB are never handed out as the start of
// anything and lie inside an extent only if that is larger than what fits between two of them.
//
// Thread-safe. Shared by all devices: the page table says whose an address is.
#pragma once

#include <cstdint>
#include <mutex>

#include "memory/extents.h"
#include "memory/unit.h"

namespace loretoken {

inline constexpr uint64_t kRegionBytes = uint64_t{4} << 30;
inline constexpr uint64_t kHoleBytes = uint64_t{16} << 20;  // at the start of each region

class AddressSpace {
 public:
  AddressSpace(uint64_t base, uint64_t bytes);

  // A range of `bytes` (multiple of kPageBytes, guard included); 0 when there is none.
  uint64_t take(uint64_t bytes);
  void release(uint64_t base, uint64_t bytes);
  uint64_t free_bytes() const;

 private:
  uint64_t take_across_holes(uint64_t bytes);
  void insert_outside_holes(uint64_t base, uint64_t bytes);

  mutable std::mutex mutex_;
  Extents free_;
};

}  // namespace loretoken
