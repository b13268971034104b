#include "reach/core.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/depth.h"
#include "base/settings.h"
#include "driver/driver.h"
#include "memory/heap.h"
#include "reach/reach.h"
#include "report/counters.h"
#include "residency/residency.h"
#include "runtime/factories.h"

namespace loretoken {
namespace {

DeviceRuntime* runtime_of(int ordinal) {
  Runtime* runtime = Runtime::get();
  return runtime != nullptr ? runtime->device(ordinal) : nullptr;
}

HolderRange foreign_holder(uint64_t address) {
  const std::optional<KnownRange> range = known_range_at(address);
  if (!range || range->kind == RangeKind::kPinned) return {};
  return {range->base, range->bytes, false};
}

HolderRange allocation_at(const Unit& unit, uint64_t address) {
  const DeviceRuntime* rt = runtime_of(unit.device);
  if (rt == nullptr || rt->heap == nullptr) return {};
  const std::optional<AllocationInfo> found = rt->heap->find(address);
  return found ? HolderRange{found->base, found->bytes, false} : HolderRange{};
}

// The allocation that a row of units is.
HolderRange whole_row(const Unit& unit) {
  const Unit* first = unit.row_count > 1 ? unit_by_index(unit.row_first) : &unit;
  return first != nullptr ? allocation_at(*first, first->base) : HolderRange{};
}

// Allocations on a page that are scanned one by one; of more, the page is scanned as one.
constexpr size_t kMostPerPage = 64;

class DeviceReach final : public Reach {
 public:
  explicit DeviceReach(DeviceRuntime& runtime) : scanner_(runtime, reach_core().edges, reach_core().sequence) {}
  bool ready() const { return scanner_.ready(); }
  Scanner& scanner() { return scanner_; }

  void freed(uint64_t base, uint64_t bytes) override {
    uint8_t flags = 0;
    for (uint64_t at = base; at < base + bytes;) {
      const Unit* unit = unit_at(at);
      if (unit == nullptr || at - unit->base >= unit->bytes) break;
      flags |= unit->flags.load(std::memory_order_acquire);
      at = unit->base + unit->bytes;
    }
    if ((flags & (kFlagHoldsEdges | kFlagScanPending)) != 0) reach_core().edges.freed(base, bytes);
  }
  uint64_t scans_announced() const override {
    reach_core().packing_began();
    return reach_core().sequence.announced();
  }
  bool scan_may_tell_of(const Unit& unit, uint64_t up_to) const override {
    return reach_core().sequence.may_tell_of(unit, up_to);
  }
  void poll() override { reach_core().poll(); }

 private:
  Scanner scanner_;
};

}  // namespace

ReachCore::ReachCore(FunctionQueries queries, uint64_t sample_every) : functions(queries, sample_every) {}

HolderRange ReachCore::holder_of(uint64_t address) const {
  if (!window().contains(address)) return foreign_holder(address);
  const Unit* unit = unit_at(address);
  if (unit == nullptr) return {};
  const HolderRange found = allocation_at(*unit, address);
  return found.bytes != 0 || unit->kind != UnitKind::kSingle ? found : whole_row(*unit);
}

void ReachCore::add_holders_of_page(uint64_t address, std::vector<HolderRange>* out) const {
  if (!window().contains(address)) {
    out->push_back(foreign_holder(address));
    return;
  }
  const Unit* unit = unit_at(address);
  if (unit == nullptr) return;
  if (unit->kind == UnitKind::kSingle) {
    out->push_back(whole_row(*unit));
    return;
  }
  const uint64_t page = address / kPageBytes * kPageBytes;
  const DeviceRuntime* rt = runtime_of(unit->device);
  if (page - unit->base >= unit->bytes || rt == nullptr || rt->heap == nullptr) return;
  const std::vector<AllocationInfo> living = rt->heap->within(page, kPageBytes, kMostPerPage);
  for (const AllocationInfo& one : living) out->push_back({one.base, one.bytes, false});
  // Many, or one that began on the page before.
  if (living.empty() || living.front().base != page) {
    const HolderRange across = allocation_at(*unit, page);
    out->push_back(living.empty() ? HolderRange{page, kPageBytes, true} : across);
  }
}

void ReachCore::pin_targets(std::span<const uint32_t> pages) {
  for (const uint32_t page : pages) pin_address(uint64_t{page} * kPageBytes, 1, Pin::kPointerStored);
}

void ReachCore::add_scanner(int device, Scanner* scanner) {
  scanners_[device % kMostDevices].store(scanner, std::memory_order_release);
}

Scanner* ReachCore::scanner_for(const StreamSlot& slot) const {
  return scanners_[slot.device % kMostDevices].load(std::memory_order_acquire);
}

void ReachCore::poll() {
  for (const std::atomic<Scanner*>& scanner : scanners_) {
    if (Scanner* one = scanner.load(std::memory_order_acquire)) one->poll();
  }
}

void ReachCore::wait_for(uint64_t number) {
  const uint64_t begin = now_ns();
  for (poll(); !sequence.is_done(number); poll()) usleep(5);
  counters().wait_ns.fetch_add(now_ns() - begin, std::memory_order_relaxed);
}

ReachCore& reach_core() {
  static auto* core = new ReachCore({driver().cuFuncGetParamInfo, driver().cuKernelGetParamInfo,
                                     driver().cuFuncGetModule, driver().cuKernelGetLibrary},
                                    static_cast<uint64_t>(settings().sample_every));
  return *core;
}

void pin_address(uint64_t address, uint64_t bytes, Pin reason) {
  if (bytes == 0) return;
  const InShim inside;
  for (const uint64_t at : {address, address + bytes - 1}) {
    Unit* unit = window().contains(at) ? unit_at(at) : nullptr;
    if (unit == nullptr) continue;
    ReachSet row;
    add_with_row(unit, &row);
    for (Unit* member : row) {
      const DeviceRuntime* rt = runtime_of(member->device);
      const uint32_t bit = uint32_t{1} << static_cast<int>(reason);
      if (rt == nullptr || rt->residency == nullptr || (member->pins.load(std::memory_order_acquire) & bit) != 0)
        continue;
      rt->residency->pin(*member, reason);
    }
  }
}

std::unique_ptr<Reach> make_reach(DeviceRuntime& runtime) {
  auto reach = std::make_unique<DeviceReach>(runtime);
  if (!reach->ready()) return nullptr;
  reach_core().add_scanner(runtime.ordinal, &reach->scanner());
  return reach;
}

}  // namespace loretoken
