#include "memory/slab.h"

#include <algorithm>
#include <array>

namespace loretoken {
namespace {

// Sizes that fill a span of 64 KiB well.
constexpr std::array<uint64_t, 16> kCells = {512,  1024,  1536,  2048,  3072,  4096,  5120,  6144,
                                             8192, 10240, 12288, 16384, 21504, 32768, 49152, 65536};

// Freed cells of one class that are looked over at once for spans that are empty again.
constexpr size_t kSweep = 256;

}  // namespace

uint32_t Slabs::class_of(uint64_t bytes) {
  return static_cast<uint32_t>(std::lower_bound(kCells.begin(), kCells.end(), bytes) - kCells.begin());
}

uint64_t Slabs::cell_bytes(uint64_t bytes) {
  return kCells[class_of(bytes)];
}

uint64_t Slabs::take(uint64_t bytes, StreamSlot* slot) {
  const uint32_t cell_class = class_of(bytes);
  ReuseList<uint64_t>& freed = freed_[cell_class];
  const auto passed = [this](const Fence& fence) { return ports_.passed(fence); };
  uint64_t address = 0;
  if (freed.take(
          slot, passed, [](uint64_t) { return true; }, &address))
    return address;
  if ((address = take_unused(cell_class)) != 0) return address;
  if (empty_spans_.empty()) {
    // Cells of other sizes may have emptied whole spans.
    for (auto& [other, list] : freed_) {
      if (list.size() >= kSweep) list.drain(passed, [this](uint64_t cell) { cell_is_free(cell); });
    }
  }
  if (empty_spans_.empty()) return take_unused(cell_class);
  const uint64_t base = empty_spans_.back();
  empty_spans_.pop_back();
  Span& span = spans_[base];
  span.cell_class = cell_class;
  const uint64_t cell = kCells[cell_class];
  for (uint64_t at = kSpanBytes / cell * cell; at >= cell; at -= cell) span.unused.push_back(base + at - cell);
  open_[cell_class].push_back(base);
  return take_unused(cell_class);
}

uint64_t Slabs::take_unused(uint32_t cell_class) {
  std::vector<uint64_t>& open = open_[cell_class];
  while (!open.empty()) {
    const auto it = spans_.find(open.back());
    if (it == spans_.end() || it->second.cell_class != cell_class || it->second.unused.empty()) {
      open.pop_back();
      continue;
    }
    const uint64_t address = it->second.unused.back();
    it->second.unused.pop_back();
    ++it->second.live;
    return address;
  }
  return 0;
}

void Slabs::cell_is_free(uint64_t address) {
  const uint64_t base = address & ~(kSpanBytes - 1);
  Span& span = spans_[base];
  if (--span.live == 0) {
    spans_.erase(base);
    empty_spans_.push_back(base);
    return;
  }
  if (span.unused.empty()) open_[span.cell_class].push_back(base);
  span.unused.push_back(address);
}

void Slabs::add_unit(Unit* unit) {
  ++units_;
  for (uint64_t at = unit->bytes; at != 0; at -= kSpanBytes) empty_spans_.push_back(unit->base + at - kSpanBytes);
}

void Slabs::put(uint64_t address, uint64_t bytes, const Ticket& ticket) {
  freed_[class_of(bytes)].put(address, ticket);
}

void Slabs::put(uint64_t address, uint64_t bytes, Fence fence) {
  freed_[class_of(bytes)].put(address, std::move(fence));
}

void Slabs::add_fences(Fence* fence) const {
  for (const auto& [cell_class, list] : freed_) list.add_fences(fence);
}

}  // namespace loretoken
