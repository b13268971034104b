// The one implementation of Heap.
//
// Lock: mutex_ guards the lists and the table of allocations. Residency, Reach and waits are never called with it: what
// they work on is taken out of the lists first, or marked as not to be handed out.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <unordered_map>

#include "memory/heap.h"
#include "memory/heap_ports.h"
#include "memory/rows.h"
#include "memory/shared_units.h"
#include "memory/slab.h"
#include "runtime/runtime.h"

namespace loretoken {

struct HeapLimits {
  uint64_t unit_max = 0;
  uint64_t shared_below = 0;  // smaller ones share a unit
  uint64_t slab_up_to = 0;    // smaller ones and this: a cell
  uint64_t shared_unit = 0;   // bytes of a shared unit
  bool strict = false;        // every allocation has units of its own
};

class UnitHeap final : public Heap {
 public:
  UnitHeap(DeviceRuntime& runtime, HeapLimits limits, HeapPorts& ports);

  CUresult allocate(uint64_t bytes, StreamSlot* slot, CUmemoryPool pool, CUdeviceptr* out) override;
  CUresult free(CUdeviceptr address, StreamSlot* slot) override;
  std::optional<AllocationInfo> find(uint64_t address) const override;
  std::vector<AllocationInfo> within(uint64_t address, uint64_t bytes, size_t most) const override;
  void units_of(uint64_t address, uint64_t bytes, std::vector<Unit*>* out) const override;
  uint64_t live_bytes() const override { return live_.load(std::memory_order_relaxed); }
  PoolUse pool_use(CUmemoryPool pool) const override;
  void reset_peak(CUmemoryPool pool, bool reserved) override;

 private:
  struct Allocation {
    uint64_t bytes = 0;  // as asked for
    uint64_t id = 0;
    CUcontext context = nullptr;
    CUmemoryPool pool = nullptr;
    Unit* unit = nullptr;  // the first
    UnitKind kind = UnitKind::kSingle;
    bool fresh = false;  // its units have never been in use
  };
  AllocationInfo describe(uint64_t base, const Allocation& allocation) const;
  UnitKind kind_of(uint64_t bytes) const;
  static uint64_t rounded(uint64_t bytes) { return (bytes + kMemberAlignment - 1) & ~(kMemberAlignment - 1); }

  CUresult try_allocate(uint64_t bytes, StreamSlot* slot, CUmemoryPool pool, CUdeviceptr* out);
  bool over_virtual_size(uint64_t bytes) const;
  // mutex_ held. Address 0: no room in the address space.
  uint64_t place(uint64_t bytes, StreamSlot* slot, Allocation* out);
  CUresult make_ready(uint64_t bytes, const Allocation& allocation);
  CUresult back_row(uint64_t bytes, const Allocation& allocation);
  void forget(Unit* unit);
  // Gives the address back to where place() took it from. Takes mutex_.
  void put_back(uint64_t address, const Allocation& allocation, StreamSlot* slot, const Ticket& ticket);
  Fence fence_of(const Allocation& allocation) const;
  Fence all_fences() const;
  bool release_unused();
  void account(CUmemoryPool pool, int64_t bytes);  // mutex_ held

  DeviceRuntime& rt_;
  const HeapLimits limits_;
  HeapPorts& ports_;
  mutable std::mutex mutex_;
  std::map<uint64_t, Allocation> allocations_;  // by address
  std::unordered_map<CUmemoryPool, PoolUse> by_pool_;
  RowCache rows_;
  SharedUnits shared_;
  Slabs slabs_;
  std::atomic<uint64_t> live_{0};
};

}  // namespace loretoken
