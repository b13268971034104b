#include "memory/rows.h"

#include <algorithm>

#include "memory/page_table.h"
#include "memory/physical.h"

namespace loretoken {

std::vector<uint64_t> row_sizes(uint64_t bytes, uint64_t unit_max) {
  std::vector<uint64_t> sizes;
  for (; bytes > unit_max; bytes -= unit_max) sizes.push_back(unit_max);
  sizes.push_back(std::min(size_class(bytes), unit_max));
  return sizes;
}

uint64_t row_bytes(const Unit* first) {
  const Unit* last = unit_by_index(first->row_first + first->row_count - 1);
  return last->base + last->bytes - first->base;
}

Unit* make_row(uint64_t bytes, uint64_t unit_max, int device, UnitKind kind, uint64_t content_bytes) {
  const std::vector<uint64_t> sizes = row_sizes(bytes, unit_max);
  uint64_t total = kGuardBytes;
  for (const uint64_t size : sizes) total += size;
  const uint64_t base = address_space().take(total);
  if (base == 0) return nullptr;
  Unit* first = create_units(base, sizes.data(), static_cast<uint32_t>(sizes.size()), device, kind, content_bytes);
  if (first == nullptr) address_space().release(base, total);
  return first;
}

void destroy_row(Unit* first) {
  const uint64_t base = first->base;
  const uint64_t total = row_bytes(first) + kGuardBytes;
  retire_units(first);
  address_space().release(base, total);
}

Unit* RowCache::take(uint64_t total_bytes, StreamSlot* slot) {
  const auto it = freed_.find(total_bytes);
  Unit* first = nullptr;
  if (it == freed_.end()) return nullptr;
  it->second.take(
      slot, [this](const Fence& fence) { return ports_.passed(fence); }, [](Unit*) { return true; }, &first);
  return first;
}

void RowCache::put(Unit* first, const Ticket& ticket) {
  freed_[row_bytes(first)].put(first, ticket);
}

void RowCache::put(Unit* first, Fence fence) {
  freed_[row_bytes(first)].put(first, std::move(fence));
}

std::vector<Unit*> RowCache::take_passed() {
  std::vector<Unit*> rows;
  for (auto& [bytes, list] : freed_) {
    list.drain([this](const Fence& fence) { return ports_.passed(fence); },
               [&rows](Unit* row) { rows.push_back(row); });
  }
  return rows;
}

void RowCache::add_fences(Fence* fence) const {
  for (const auto& [bytes, list] : freed_) list.add_fences(fence);
}

}  // namespace loretoken
