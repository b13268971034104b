#include "residency/reach_set.h"

#include <algorithm>

namespace loretoken {

bool ReachSet::contains(const Unit* unit) const {
  if (spilled_.empty()) return std::find(inline_, inline_ + count_, unit) != inline_ + count_;
  const uint32_t mask = static_cast<uint32_t>(hash_.size()) - 1;
  for (uint32_t h = unit->index * 2654435761u;; ++h) {
    const uint32_t at = hash_[h & mask];
    if (at == 0) return false;
    if (spilled_[at - 1] == unit) return true;
  }
}

void ReachSet::add(Unit* unit) {
  if (contains(unit)) return;
  if (spilled_.empty() && count_ < kInline) {
    inline_[count_++] = unit;
    return;
  }
  if (spilled_.empty()) spilled_.assign(inline_, inline_ + count_);
  spilled_.push_back(unit);
  const auto insert = [this](uint32_t position) {
    const uint32_t mask = static_cast<uint32_t>(hash_.size()) - 1;
    uint32_t h = spilled_[position]->index * 2654435761u;
    while (hash_[h & mask] != 0) ++h;
    hash_[h & mask] = position + 1;
  };
  if (spilled_.size() * 2 > hash_.size()) {
    hash_.assign(std::max<size_t>(256, hash_.size() * 2), 0);
    for (uint32_t i = 0; i < spilled_.size(); ++i) insert(i);
  } else {
    insert(static_cast<uint32_t>(spilled_.size()) - 1);
  }
}

void ReachSet::clear() {
  count_ = 0;
  spilled_.clear();
  hash_.clear();
  everything = false;
}

}  // namespace loretoken
