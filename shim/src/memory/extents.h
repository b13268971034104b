// A set of free address ranges: adjacent ones are one. Used for the window, blob and host arenas and shared units.
//
// Not thread-safe. insert and take are O(log n).
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>

namespace loretoken {

struct Extent {
  uint64_t base = 0;
  uint64_t bytes = 0;  // 0: none
  uint64_t end() const { return base + bytes; }
};

class Extents {
 public:
  // Adds a range that is not in the set; returns the free range it is part of now.
  Extent insert(uint64_t base, uint64_t bytes);
  // Best fit: the smallest range that holds `bytes`, of those the lowest; taken from its start. False: none fits.
  bool take(uint64_t bytes, uint64_t* base);
  // Takes exactly this range, which must lie in one free range.
  void remove(uint64_t base, uint64_t bytes);

  Extent containing(uint64_t address) const;
  Extent ending_at(uint64_t address) const;
  uint64_t largest() const { return by_size_.empty() ? 0 : by_size_.rbegin()->first; }
  uint64_t total() const { return total_; }
  const std::map<uint64_t, uint64_t>& ranges() const { return by_base_; }  // base → bytes

 private:
  using Iterator = std::map<uint64_t, uint64_t>::iterator;
  void erase(Iterator it);
  void put(uint64_t base, uint64_t bytes);

  std::map<uint64_t, uint64_t> by_base_;
  std::set<std::pair<uint64_t, uint64_t>> by_size_;  // (bytes, base)
  uint64_t total_ = 0;
};

}  // namespace loretoken
