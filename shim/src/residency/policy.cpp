#include "residency/policy.h"

#include <algorithm>
#include <utility>

namespace loretoken {

std::vector<Unit*> choose_victims(std::span<Unit* const> candidates, uint64_t bytes, size_t most) {
  // The clock moves while we sort: order by a copy of it.
  std::vector<std::pair<uint64_t, Unit*>> order;
  order.reserve(candidates.size());
  for (Unit* unit : candidates) order.emplace_back(unit->last_reach.load(std::memory_order_relaxed), unit);
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    if (a.first != b.first) return a.first < b.first;
    if (a.second->bytes != b.second->bytes) return a.second->bytes > b.second->bytes;
    return a.second->index < b.second->index;
  });
  std::vector<Unit*> chosen;
  uint64_t sum = 0;
  for (const auto& [reach, unit] : order) {
    if (sum >= bytes || chosen.size() >= most) break;
    chosen.push_back(unit);
    sum += unit->bytes;
  }
  return chosen;
}

}  // namespace loretoken
