#include "memory/extents.h"

namespace loretoken {

void Extents::erase(Iterator it) {
  by_size_.erase({it->second, it->first});
  total_ -= it->second;
  by_base_.erase(it);
}

void Extents::put(uint64_t base, uint64_t bytes) {
  by_base_.emplace(base, bytes);
  by_size_.emplace(bytes, base);
  total_ += bytes;
}

Extent Extents::insert(uint64_t base, uint64_t bytes) {
  if (bytes == 0) return {};
  auto next = by_base_.lower_bound(base);
  if (next != by_base_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == base) {
      base = before->first;
      bytes += before->second;
      erase(before);
    }
  }
  if (next != by_base_.end() && next->first == base + bytes) {
    bytes += next->second;
    erase(next);
  }
  put(base, bytes);
  return {base, bytes};
}

bool Extents::take(uint64_t bytes, uint64_t* base) {
  const auto fit = by_size_.lower_bound({bytes, 0});
  if (fit == by_size_.end()) return false;
  *base = fit->second;
  remove(fit->second, bytes);
  return true;
}

void Extents::remove(uint64_t base, uint64_t bytes) {
  const Extent from = containing(base);
  erase(by_base_.find(from.base));
  if (base > from.base) put(from.base, base - from.base);
  if (from.end() > base + bytes) put(base + bytes, from.end() - base - bytes);
}

Extent Extents::containing(uint64_t address) const {
  auto it = by_base_.upper_bound(address);
  if (it == by_base_.begin()) return {};
  --it;
  if (address - it->first >= it->second) return {};
  return {it->first, it->second};
}

Extent Extents::ending_at(uint64_t address) const {
  auto it = by_base_.lower_bound(address);
  if (it == by_base_.begin()) return {};
  --it;
  if (it->first + it->second != address) return {};
  return {it->first, it->second};
}

}  // namespace loretoken
