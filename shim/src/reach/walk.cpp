#include "reach/walk.h"

#include <algorithm>
#include <cstring>

#include "reach/words.h"

namespace loretoken {

void Walk::words(const void* data, uint32_t count) {
  const auto* at = static_cast<const unsigned char*>(data);
  for (uint32_t i = 0; i < count; ++i) {
    uint64_t value;
    std::memcpy(&value, at + uint64_t{4} * i, sizeof(value));
    word(value);
  }
}

void Walk::hold(uint64_t value) {
  if (count_ < kInline) {
    inline_[count_++] = value;
  } else {
    more_.push_back(value);
  }
}

std::vector<uint64_t> Walk::holders() const {
  std::vector<uint64_t> all(inline_, inline_ + count_);
  all.insert(all.end(), more_.begin(), more_.end());
  return all;
}

void Walk::address(uint64_t value) {
  Unit* unit = unit_at(value);
  if (unit == nullptr) return;
  add_with_row(unit, set_);
  const uint8_t flags = unit->flags.load(std::memory_order_acquire);
  if ((flags & (kFlagHoldsEdges | kFlagScanPending)) != 0) hold(value);
  if (record != nullptr) record->push_back(value);
  if (value - unit->base < unit->bytes) return;
  // In the guard page: one past the end of this unit, or biased to before the next.
  Unit* next = unit_after_guard(value);
  if (next == nullptr || next == unit) return;
  add_with_row(next, set_);
  if ((next->flags.load(std::memory_order_acquire) & (kFlagHoldsEdges | kFlagScanPending)) != 0) hold(next->base);
  if (record != nullptr) record->push_back(next->base);
}

void Walk::outside(uint64_t value) {
  const std::optional<KnownRange> range = known_range_at(value);
  if (!range) return;
  if (range->kind == RangeKind::kPinned) {
#ifndef LORETOKEN_MUTATE_HOST_SCAN
    to_read_.push_back(value);
    if (!reading_) read_pinned();
#endif
    return;
  }
  if (range->kind == RangeKind::kManaged) managed_ = true;
  hold(range->base);
  if (record != nullptr) record->push_back(range->base);
}

// Reads whole ranges, transitively. Addresses are gathered under the range's lock and followed outside of it.
void Walk::read_pinned() {
  reading_ = true;
  while (!to_read_.empty()) {
    const uint64_t value = to_read_.back();
    to_read_.pop_back();
    std::vector<uint64_t> found;
    with_known_range(value, [&](const KnownRange& range) {
      if (range.kind != RangeKind::kPinned || std::find(read_.begin(), read_.end(), range.host) != read_.end()) return;
      read_.push_back(range.host);
      host_bytes_ += range.bytes;
      const auto keep = [&](uint64_t word) { found.push_back(word); };
      const void* bytes = reinterpret_cast<const void*>(range.host);
      for_words_in(bytes, range.bytes, 0, {base_, base_ + bytes_}, keep);
      const bool alone = bounds_.lo == range.base && bounds_.hi == range.base + range.bytes;
      if (!alone) for_words_in(bytes, range.bytes, 0, {bounds_.lo, bounds_.hi}, keep);
    });
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    for (const uint64_t word_found : found) follow(word_found);
  }
  reading_ = false;
}

void Walk::close(Edges& edges, Closure* closure) {
  if (count_ == 0) return;
  if (more_.empty()) {
    edges.close({inline_, count_}, set_, closure);
    return;
  }
  edges.close(holders(), set_, closure);
}

}  // namespace loretoken
