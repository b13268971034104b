#include <algorithm>

#include "base/log.h"
#include "base/settings.h"
#include "memory/page_table.h"
#include "memory/physical.h"
#include "memory/unit_heap.h"
#include "reach/reach.h"
#include "report/counters.h"
#include "residency/residency.h"
#include "runtime/factories.h"

namespace loretoken {
namespace {

std::atomic<uint64_t> g_next_id{uint64_t{1} << 40};  // far from the driver's own, which count from 1

}  // namespace

UnitHeap::UnitHeap(DeviceRuntime& runtime, HeapLimits limits, HeapPorts& ports)
    : rt_(runtime), limits_(limits), ports_(ports), rows_(ports), shared_(ports), slabs_(ports) {}

UnitKind UnitHeap::kind_of(uint64_t bytes) const {
  if (limits_.strict || bytes >= limits_.shared_below) return UnitKind::kSingle;
  return bytes <= limits_.slab_up_to ? UnitKind::kSlab : UnitKind::kShared;
}

// Cost of the usual case, a freed range of the size: one lock, a map insertion, no driver call.
CUresult UnitHeap::allocate(uint64_t bytes, StreamSlot* slot, CUmemoryPool pool, CUdeviceptr* out) {
  if (bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  CUresult result = try_allocate(bytes, slot, pool, out);
  if (result != CUDA_ERROR_OUT_OF_MEMORY || over_virtual_size(bytes)) return result;
  // Room may be held by freed ranges whose last use is still queued: wait for that once, with no lock held.
  const Fence fences = all_fences();
  if (const CUresult failed = ports_.synchronize(fences); failed != CUDA_SUCCESS) return failed;
  if (release_unused() || !fences.empty()) result = try_allocate(bytes, slot, pool, out);
  if (result == CUDA_ERROR_OUT_OF_MEMORY && !over_virtual_size(bytes)) rt_.residency->refused(bytes);
  return result;
}

bool UnitHeap::over_virtual_size(uint64_t bytes) const {
  const uint64_t taken = live_.load(std::memory_order_relaxed) + rt_.physical->foreign();
  return bytes > rt_.virtual_size || taken + rounded(bytes) > rt_.virtual_size;
}

CUresult UnitHeap::try_allocate(uint64_t bytes, StreamSlot* slot, CUmemoryPool pool, CUdeviceptr* out) {
  Allocation allocation;
  uint64_t address = 0;
  {
    std::lock_guard lock(mutex_);
    if (over_virtual_size(bytes)) return CUDA_ERROR_OUT_OF_MEMORY;
    address = place(bytes, slot, &allocation);
    if (address == 0) return CUDA_ERROR_OUT_OF_MEMORY;
    allocation.bytes = bytes;
    allocation.id = g_next_id.fetch_add(1, std::memory_order_relaxed);
    allocation.context = ports_.current_context();
    allocation.pool = pool;
    allocations_.emplace(address, allocation);
    account(pool, static_cast<int64_t>(rounded(bytes)));
  }
  const CUresult result = make_ready(bytes, allocation);
  if (result == CUDA_SUCCESS) {
    counters(rt_.ordinal).allocations.fetch_add(1, std::memory_order_relaxed);
    *out = address;
    return CUDA_SUCCESS;
  }
  {
    std::lock_guard lock(mutex_);
    allocations_.erase(address);
    account(pool, -static_cast<int64_t>(rounded(bytes)));
  }
  put_back(address, allocation, nullptr, {});
  return result;
}

uint64_t UnitHeap::place(uint64_t bytes, StreamSlot* slot, Allocation* out) {
  out->kind = kind_of(bytes);
  if (out->kind == UnitKind::kSingle) {
    uint64_t total = 0;
    for (const uint64_t size : row_sizes(bytes, limits_.unit_max)) total += size;
    out->unit = rows_.take(total, slot);
    if (out->unit == nullptr) {
      out->unit = make_row(bytes, limits_.unit_max, rt_.ordinal, UnitKind::kSingle, rounded(bytes));
      out->fresh = true;
    }
    return out->unit == nullptr ? 0 : out->unit->base;
  }
  if (out->kind == UnitKind::kSlab) {
    uint64_t cell = slabs_.take(bytes, slot);
    if (cell == 0) {
      Unit* unit = make_row(kPageBytes, limits_.unit_max, rt_.ordinal, UnitKind::kSlab, 0);
      if (unit == nullptr) return 0;
      slabs_.add_unit(unit);
      cell = slabs_.take(bytes, slot);
    }
    out->unit = unit_at(cell);
    return cell;
  }
  SharedUnits::Member member = shared_.take(rounded(bytes), slot);
  if (member.address == 0) {
    Unit* unit = make_row(limits_.shared_unit, limits_.unit_max, rt_.ordinal, UnitKind::kShared, 0);
    if (unit == nullptr) return 0;
    shared_.add_unit(unit);
    member = shared_.take(rounded(bytes), slot);
  }
  // Under mutex_, so that the flag and the count of members agree; read by the mover after it claimed (seq_cst).
  const uint8_t before = member.unit->flags.fetch_and(static_cast<uint8_t>(~kFlagIdle), std::memory_order_seq_cst);
  if ((before & kFlagIdle) != 0) member.unit->flags.fetch_and(static_cast<uint8_t>(~kFlagIsTarget));
  out->unit = member.unit;
  return member.address;
}

// Whatever the mover did to the units while they were idle is undone. Cost when it did nothing: one load per unit.
CUresult UnitHeap::make_ready(uint64_t bytes, const Allocation& allocation) {
  if (allocation.kind == UnitKind::kSingle) return back_row(bytes, allocation);
  Unit& unit = *allocation.unit;
  const UnitState state = unit.state.load(std::memory_order_seq_cst);
  // A packed unit has other members' content and stays as it is until something reaches it.
  if (state == UnitState::kUnbacked || state == UnitState::kClaimed) {
    if (const CUresult result = rt_.residency->back(unit); result != CUDA_SUCCESS) return result;
  }
  if (unit.kind == UnitKind::kSlab && (unit.pins.load() & 1u << static_cast<int>(Pin::kSmall)) == 0) {
    return rt_.residency->pin(unit, Pin::kSmall);
  }
  return CUDA_SUCCESS;
}

CUresult UnitHeap::back_row(uint64_t bytes, const Allocation& allocation) {
  uint64_t content = rounded(bytes);
  for (uint32_t i = 0; i < allocation.unit->row_count; ++i) {
    Unit& unit = *unit_in_row(allocation.unit, i);
    unit.flags.fetch_and(static_cast<uint8_t>(~(kFlagIdle | kFlagIsTarget)), std::memory_order_seq_cst);
    const uint64_t here = std::min(content, unit.bytes);
    content -= here;
    if (unit.state.load(std::memory_order_seq_cst) != UnitState::kRaw && !allocation.fresh) {
      rt_.residency->discard_content(unit);
    }
    if (unit.content_bytes.load(std::memory_order_relaxed) != here) {
      unit.content_bytes.store(here, std::memory_order_relaxed);
    }
    if (unit.state.load(std::memory_order_seq_cst) == UnitState::kRaw) continue;
    if (const CUresult result = rt_.residency->back(unit); result != CUDA_SUCCESS) return result;
  }
  return CUDA_SUCCESS;
}

void UnitHeap::account(CUmemoryPool pool, int64_t bytes) {
  const uint64_t live = live_.load(std::memory_order_relaxed) + static_cast<uint64_t>(bytes);
  live_.store(live, std::memory_order_relaxed);
  PoolUse& use = by_pool_[pool];
  use.live += static_cast<uint64_t>(bytes);
  use.peak = std::max(use.peak, use.live);
  use.reserved_peak = std::max(use.reserved_peak, use.live);
  gauge(counters(rt_.ordinal).live_bytes, counters(rt_.ordinal).live_peak, live);
}

Heap::PoolUse UnitHeap::pool_use(CUmemoryPool pool) const {
  std::lock_guard lock(mutex_);
  const auto it = by_pool_.find(pool);
  return it == by_pool_.end() ? PoolUse{} : it->second;
}

void UnitHeap::reset_peak(CUmemoryPool pool, bool reserved) {
  std::lock_guard lock(mutex_);
  const auto it = by_pool_.find(pool);
  if (it == by_pool_.end()) return;
  (reserved ? it->second.reserved_peak : it->second.peak) = it->second.live;
}

AllocationInfo UnitHeap::describe(uint64_t base, const Allocation& allocation) const {
  AllocationInfo info;
  info.base = base;
  info.bytes = allocation.bytes;
  info.id = allocation.id;
  info.device = rt_.ordinal;
  info.context = allocation.context;
  info.pool = allocation.pool;
  info.first_unit = allocation.unit;
  info.unit_count = allocation.unit->row_count;
  return info;
}

std::optional<AllocationInfo> UnitHeap::find(uint64_t address) const {
  std::lock_guard lock(mutex_);
  auto it = allocations_.upper_bound(address);
  if (it == allocations_.begin()) return std::nullopt;
  --it;
  if (address - it->first > it->second.bytes) return std::nullopt;
  return describe(it->first, it->second);
}

std::vector<AllocationInfo> UnitHeap::within(uint64_t address, uint64_t bytes, size_t most) const {
  std::lock_guard lock(mutex_);
  std::vector<AllocationInfo> found;
  for (auto it = allocations_.lower_bound(address); it != allocations_.end() && it->first < address + bytes; ++it) {
    if (found.size() == most) return {};
    found.push_back(describe(it->first, it->second));
  }
  return found;
}

// Without a lock: rows are constant while an allocation in them lives.
void UnitHeap::units_of(uint64_t address, uint64_t bytes, std::vector<Unit*>* out) const {
  const uint64_t end = address + std::max<uint64_t>(bytes, 1);
  while (address < end) {
    Unit* unit = unit_at(address);
    if (unit == nullptr) {
      address = (address & ~(kPageBytes - 1)) + kPageBytes;
      continue;
    }
    Unit* last = unit;
    for (uint32_t i = 0; i < unit->row_count; ++i) {
      Unit* member = unit_by_index(unit->row_first + i);
      if (member == nullptr) return;
      if (std::find(out->begin(), out->end(), member) == out->end()) out->push_back(member);
      last = member;
    }
    address = last->base + last->bytes + kGuardBytes;
  }
}

std::unique_ptr<Heap> make_heap(DeviceRuntime& runtime) {
  HeapLimits limits;
  limits.unit_max = runtime.unit_max;
  limits.shared_below = std::min(settings().shared_threshold.of(runtime.limit), runtime.unit_max);
  limits.slab_up_to = std::min(settings().slab_threshold.of(runtime.limit), kSpanBytes);
  limits.shared_unit = std::min(uint64_t{32} << 20, runtime.unit_max);
  limits.strict = strict_check();
  return std::make_unique<UnitHeap>(runtime, limits, stream_ports());
}

}  // namespace loretoken
