// Surroundings of the heap for its tests: residency without a driver, streams that advance when told to.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <set>

#include "memory/heap_ports.h"
#include "memory/page_table.h"
#include "memory/physical.h"
#include "memory/unit_heap.h"
#include "residency/residency.h"
#include "runtime/runtime.h"

namespace loretoken {

// Keeps states as the contract says; `room` bytes may be backed.
class ResidencyDouble final : public Residency {
 public:
  uint64_t room = ~uint64_t{0};
  uint64_t backed = 0;
  std::set<Unit*> discarded;

  CUresult back(Unit& unit) override {
    if (unit.state == UnitState::kPacked || unit.state == UnitState::kHost) unit.state = UnitState::kUnbacked;
    if (unit.state == UnitState::kUnbacked) {
      if (backed + unit.bytes > room) return CUDA_ERROR_OUT_OF_MEMORY;
      backed += unit.bytes;
    }
    unit.state = UnitState::kRaw;
    return CUDA_SUCCESS;
  }
  CUresult find_room(uint64_t) override { return CUDA_SUCCESS; }
  void unback(Unit& unit) override {
    EXPECT_NE(unit.flags & kFlagIdle, 0) << "has content";
    if (unit.state == UnitState::kRaw) backed -= unit.bytes;
    unit.state = UnitState::kUnbacked;
  }
  CUresult make_raw(const ReachSet&, StreamSlot*, bool) override { return CUDA_SUCCESS; }
  void release_holds(const ReachSet&) override {}
  CUresult pin(Unit& unit, Pin reason) override {
    ++unit.pin_counts[static_cast<int>(reason)];
    unit.pins |= 1u << static_cast<int>(reason);
    return back(unit);
  }
  void unpin(Unit& unit, Pin reason) override {
    if (--unit.pin_counts[static_cast<int>(reason)] == 0) unit.pins &= ~(1u << static_cast<int>(reason));
  }
  void discard_content(Unit& unit) override {
    discarded.insert(&unit);
    if (unit.state != UnitState::kRaw) unit.state = UnitState::kUnbacked;
  }
  void trim(uint64_t) override {}

  // What the mover does on its own.
  void reclaim(Unit& unit) {
    if (unit.state != UnitState::kRaw || (unit.flags & kFlagIdle) == 0) return;
    backed -= unit.bytes;
    unit.state = UnitState::kUnbacked;
  }
  void pack(Unit& unit) {
    if (unit.state != UnitState::kRaw || unit.pins != 0 || (unit.flags & kFlagIdle) != 0) return;
    backed -= unit.bytes;
    unit.state = UnitState::kPacked;
  }
};

class PhysicalDouble final : public Physical {
 public:
  uint64_t foreign_bytes = 0;
  Handle acquire(uint64_t) override { return {}; }
  Handle acquire_chunk(uint64_t) override { return {}; }
  void set_reserve(uint64_t) override {}
  uint64_t reserve() const override { return 0; }
  void give_back(Handle) override {}
  void trim(uint64_t) override {}
  uint64_t held() const override { return 0; }
  uint64_t idle() const override { return 0; }
  uint64_t available() const override { return 0; }
  bool charge(uint64_t) override { return true; }
  void discharge(uint64_t) override {}
  bool charge_foreign(uint64_t bytes) override { return foreign_bytes += bytes, true; }
  void discharge_foreign(uint64_t bytes) override { foreign_bytes -= bytes; }
  uint64_t foreign() const override { return foreign_bytes; }
};

// Streams whose work is done when the test says so.
class PortsDouble final : public HeapPorts {
 public:
  std::array<StreamSlot, 3> slots;
  uint64_t waits = 0;

  PortsDouble() {
    for (uint32_t i = 0; i < slots.size(); ++i) slots[i].index = i;
  }
  static bool is_passed(const Ticket& ticket) { return ticket.slot->passed >= ticket.seq; }
  bool passed(const Fence& fence) override {
    return std::all_of(fence.begin(), fence.end(), [](const Ticket& ticket) { return is_passed(ticket); });
  }
  CUresult synchronize(const Fence& fence) override {
    ++waits;
    for (const Ticket& ticket : fence) {
      if (!is_passed(ticket)) ticket.slot->passed.store(ticket.seq);
    }
    return CUDA_SUCCESS;
  }
  Fence mark(int, uint64_t mask) override {
    Fence fence;
    for (StreamSlot& slot : slots) {
      if ((mask & slot.mask()) != 0 && slot.passed < slot.submitted) fence.push_back({&slot, slot.submitted});
    }
    return fence;
  }
  Ticket mark_free(StreamSlot& slot) override { return {&slot, ++slot.submitted}; }
  CUcontext current_context() override { return reinterpret_cast<CUcontext>(0x77); }

  // Work of a stream on the units of an allocation.
  void use(StreamSlot& slot, uint64_t address) {
    ++slot.submitted;
    Unit* unit = unit_at(address);
    for (uint32_t i = 0; i < unit->row_count; ++i) unit_by_index(unit->row_first + i)->stream_mask |= slot.mask();
  }
  void advance(StreamSlot& slot) { slot.passed.store(slot.submitted); }
};

// A device whose heap stands on the doubles.
struct HeapFixture {
  static constexpr uint64_t kMiB = uint64_t{1} << 20;
  PortsDouble ports;
  DeviceRuntime device;
  ResidencyDouble* residency = nullptr;
  PhysicalDouble* physical = nullptr;
  std::unique_ptr<UnitHeap> heap;

  explicit HeapFixture(HeapLimits limits = {.unit_max = 64 * kMiB,
                                            .shared_below = 16 * kMiB,
                                            .slab_up_to = 64 << 10,
                                            .shared_unit = 32 * kMiB,
                                            .strict = false}) {
    EXPECT_TRUE(install_window(0x7C1000000000ull, uint64_t{64} << 30));
    auto residency_double = std::make_unique<ResidencyDouble>();
    auto physical_double = std::make_unique<PhysicalDouble>();
    residency = residency_double.get();
    physical = physical_double.get();
    device.virtual_size = uint64_t{8} << 30;
    device.unit_max = limits.unit_max;
    device.residency = std::move(residency_double);
    device.physical = std::move(physical_double);
    heap = std::make_unique<UnitHeap>(device, limits, ports);
  }
};

}  // namespace loretoken
