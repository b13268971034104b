// Freeing: what happens between the program's last use of a range and the next allocation in it.
#include <utility>

#include "memory/page_table.h"
#include "memory/physical.h"
#include "memory/unit_heap.h"
#include "reach/reach.h"
#include "report/counters.h"
#include "residency/residency.h"

namespace loretoken {

CUresult UnitHeap::free(CUdeviceptr address, StreamSlot* slot) {
  Allocation allocation;
  {
    std::lock_guard lock(mutex_);
    const auto it = allocations_.find(address);
    if (it == allocations_.end()) return CUDA_ERROR_INVALID_VALUE;
    allocation = it->second;
    allocations_.erase(it);
    account(allocation.pool, -static_cast<int64_t>(rounded(allocation.bytes)));
  }
  const Ticket ticket = slot != nullptr ? ports_.mark_free(*slot) : Ticket{};
  if (rt_.reach != nullptr) rt_.reach->freed(address, allocation.bytes);
  put_back(address, allocation, slot, ticket);
  counters(rt_.ordinal).frees.fetch_add(1, std::memory_order_relaxed);
  return CUDA_SUCCESS;
}

void UnitHeap::put_back(uint64_t address, const Allocation& allocation, StreamSlot* slot, const Ticket& ticket) {
  const Fence fence = slot != nullptr ? Fence{} : fence_of(allocation);
  const uint64_t bytes = allocation.bytes;
  switch (allocation.kind) {
    case UnitKind::kSingle: {
      for (uint32_t i = 0; i < allocation.unit->row_count; ++i) forget(unit_in_row(allocation.unit, i));
      std::lock_guard lock(mutex_);
      slot != nullptr ? rows_.put(allocation.unit, ticket) : rows_.put(allocation.unit, fence);
      return;
    }
    case UnitKind::kSlab: {
      std::lock_guard lock(mutex_);
      slot != nullptr ? slabs_.put(address, bytes, ticket) : slabs_.put(address, bytes, fence);
      return;
    }
    case UnitKind::kShared: {
      Unit* unit = allocation.unit;
      std::unique_lock lock(mutex_);
      if (shared_.content_gone(unit)) {
        // The last member: nothing else may be put into the unit while its content is dropped.
        shared_.set_closing(unit, true);
        lock.unlock();
        forget(unit);
        lock.lock();
        shared_.set_closing(unit, false);
      }
      slot != nullptr ? shared_.put(address, rounded(bytes), ticket) : shared_.put(address, rounded(bytes), fence);
      return;
    }
  }
}

// No content is left in the unit. Pins were about content or its users, so they end too.
void UnitHeap::forget(Unit* unit) {
  for (int reason = 0; reason < static_cast<int>(Pin::kCount); ++reason) {
    while ((unit->pins.load(std::memory_order_acquire) & 1u << reason) != 0) {
      rt_.residency->unpin(*unit, static_cast<Pin>(reason));
    }
  }
  unit->idle_since.store(reach_clock(), std::memory_order_relaxed);
  unit->flags.fetch_or(kFlagIdle, std::memory_order_seq_cst);
  if (unit->state.load(std::memory_order_seq_cst) != UnitState::kRaw) rt_.residency->discard_content(*unit);
}

// Every stream that may still have work on the allocation queued.
Fence UnitHeap::fence_of(const Allocation& allocation) const {
  uint64_t mask = 0;
  for (uint32_t i = 0; i < allocation.unit->row_count; ++i) {
    const Unit& unit = *unit_in_row(allocation.unit, i);
    mask |= unit.stream_mask.load(std::memory_order_acquire);
    // Reached through memory: by streams that never named it.
    if ((unit.flags.load(std::memory_order_acquire) & kFlagIsTarget) != 0) mask = ~uint64_t{0};
  }
  return ports_.mark(rt_.ordinal, mask);
}

Fence UnitHeap::all_fences() const {
  std::lock_guard lock(mutex_);
  Fence fence;
  rows_.add_fences(&fence);
  shared_.add_fences(&fence);
  slabs_.add_fences(&fence);
  return fence;
}

// Gives memory and addresses of everything that is free for everyone back. True if there was any.
bool UnitHeap::release_unused() {
  std::vector<Unit*> rows;
  {
    std::lock_guard lock(mutex_);
    rows = rows_.take_passed();
    shared_.consolidate();
    const std::vector<Unit*> empty = shared_.take_empty();
    rows.insert(rows.end(), empty.begin(), empty.end());
  }
  for (Unit* first : rows) {
    for (uint32_t i = 0; i < first->row_count; ++i) rt_.residency->unback(*unit_in_row(first, i));
    destroy_row(first);
  }
  return !rows.empty();
}

}  // namespace loretoken
