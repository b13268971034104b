#include "memory/shared_units.h"

#include "memory/page_table.h"

namespace loretoken {

SharedUnits::Shared* SharedUnits::of(uint64_t address) {
  return &std::prev(shared_.upper_bound(address))->second;
}

void SharedUnits::reindex(Shared& shared) {
  const uint64_t largest = shared.free.largest();
  if (largest == shared.indexed) return;
  if (shared.indexed != 0) by_largest_.erase({shared.indexed, shared.unit->base});
  if (largest != 0) by_largest_.insert({largest, shared.unit->base});
  shared.indexed = largest;
}

SharedUnits::Member SharedUnits::take_from(Shared& shared, uint64_t bytes) {
  uint64_t address = 0;
  if (shared.closing || !shared.free.take(bytes, &address)) return {};
  reindex(shared);
  ++shared.live;
  return {address, shared.unit};
}

SharedUnits::Member SharedUnits::take(uint64_t bytes, StreamSlot* slot) {
  const auto passed = [this](const Fence& fence) { return ports_.passed(fence); };
  const auto usable = [this](uint64_t address) { return !of(address)->closing; };
  uint64_t address = 0;
  if (const auto it = freed_.find(bytes); it != freed_.end() && it->second.take(slot, passed, usable, &address)) {
    freed_bytes_ -= bytes;
    Shared& shared = *of(address);
    ++shared.live;
    return {address, shared.unit};
  }
  if (current_ != nullptr) {
    if (const Member member = take_from(*current_, bytes); member.address != 0) return member;
  }
  // Another unit, but not one that is packed: a new member would bring it back whole.
  constexpr int kLook = 16;
  for (int round = 0; round < 2; ++round) {
    int looked = 0;
    for (auto it = by_largest_.lower_bound({bytes, 0}); it != by_largest_.end() && looked < kLook; ++it, ++looked) {
      Shared& shared = shared_.at(it->second);
      const UnitState state = shared.unit->state.load(std::memory_order_acquire);
      if (state != UnitState::kRaw && state != UnitState::kUnbacked) continue;
      if (const Member member = take_from(shared, bytes); member.address != 0) {
        current_ = &shared;
        return member;
      }
    }
    if (round == 0) {
      if (shared_.empty() || freed_bytes_ < shared_.begin()->second.unit->bytes) break;
      consolidate();
    }
  }
  return {};
}

void SharedUnits::add_unit(Unit* unit) {
  Shared& shared = shared_[unit->base];
  shared.unit = unit;
  shared.free.insert(unit->base, unit->bytes);
  reindex(shared);
  current_ = &shared;
}

bool SharedUnits::content_gone(Unit* unit) {
  return --shared_.at(unit->base).live == 0;
}

void SharedUnits::set_closing(Unit* unit, bool closing) {
  shared_.at(unit->base).closing = closing;
}

void SharedUnits::put(uint64_t address, uint64_t bytes, const Ticket& ticket) {
  freed_bytes_ += bytes;
  freed_[bytes].put(address, ticket);
}

void SharedUnits::put(uint64_t address, uint64_t bytes, Fence fence) {
  freed_bytes_ += bytes;
  freed_[bytes].put(address, std::move(fence));
}

void SharedUnits::consolidate() {
  for (auto& [bytes, list] : freed_) {
    list.drain([this](const Fence& fence) { return ports_.passed(fence); },
               [this, size = bytes](uint64_t address) {
                 freed_bytes_ -= size;
                 Shared& shared = *of(address);
                 shared.free.insert(address, size);
                 reindex(shared);
               });
  }
}

std::vector<Unit*> SharedUnits::take_empty() {
  std::vector<Unit*> empty;
  for (auto it = shared_.begin(); it != shared_.end();) {
    Shared& shared = it->second;
    if (shared.live != 0 || shared.closing || shared.free.total() != shared.unit->bytes) {
      ++it;
      continue;
    }
    if (current_ == &shared) current_ = nullptr;
    by_largest_.erase({shared.indexed, shared.unit->base});
    empty.push_back(shared.unit);
    it = shared_.erase(it);
  }
  return empty;
}

void SharedUnits::add_fences(Fence* fence) const {
  for (const auto& [bytes, list] : freed_) list.add_fences(fence);
}

}  // namespace loretoken
