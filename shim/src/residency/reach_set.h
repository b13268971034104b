// The units that one operation can touch. Inline storage, no allocation for the usual case, duplicates removed.
#pragma once

#include <cstdint>
#include <vector>

#include "memory/unit.h"

namespace loretoken {

class ReachSet {
 public:
  static constexpr uint32_t kInline = 48;

  // O(size) duplicate check for small sets, hashed beyond kInline.
  void add(Unit* unit);
  void clear();
  uint32_t size() const { return spilled_.empty() ? count_ : static_cast<uint32_t>(spilled_.size()); }
  Unit* const* begin() const { return spilled_.empty() ? inline_ : spilled_.data(); }
  Unit* const* end() const { return begin() + size(); }
  bool contains(const Unit* unit) const;
  // A holder was met whose targets are unknown (scan overflow): the operation may touch everything.
  bool everything = false;

 private:
  uint32_t count_ = 0;
  Unit* inline_[kInline];
  std::vector<Unit*> spilled_;
  std::vector<uint32_t> hash_;
};

}  // namespace loretoken
