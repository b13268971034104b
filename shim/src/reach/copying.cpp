// Copies: what host bytes and holders carry into the destination.
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "driver/driver.h"
#include "guard/policy.h"
#include "reach/core.h"
#include "reach/words.h"
#include "report/counters.h"

namespace loretoken {
namespace {

enum class Place { kOurs, kScannable, kPinnedHost, kHost, kForeignDevice };

// Where an address outside arrays lies. Cost for ours: a compare; for the others a call into the driver.
// `habit`: gets that of a pinned buffer that is known.
Place place_of(uint64_t address, bool on_device, Behaviour** habit = nullptr) {
  if (window().contains(address)) return Place::kOurs;
  if (const std::optional<KnownRange> range = known_range_at(address)) {
    if (habit != nullptr) *habit = range->copies;
    return range->kind == RangeKind::kPinned ? Place::kPinnedHost : Place::kScannable;
  }
  if (on_device) return Place::kForeignDevice;
  unsigned int type = 0;
  const auto ask = driver().cuPointerGetAttribute;
  if (ask == nullptr || ask(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address) != CUDA_SUCCESS) return Place::kHost;
  if (type == CU_MEMORYTYPE_HOST) return Place::kPinnedHost;
  return type == 0 ? Place::kHost : Place::kForeignDevice;
}

std::vector<uint32_t> pages_in(const CopySpec& spec) {
  const uint64_t base = window().base.load(std::memory_order_relaxed);
  const AddressSpan span = {base, base + window().bytes.load(std::memory_order_acquire)};
  std::vector<uint32_t> pages;
  for (uint64_t row = 0; row < spec.rows; ++row) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(spec.src + row * spec.src_pitch);
    const auto skew = static_cast<uint32_t>((4 - (spec.dst + row * spec.dst_pitch) % 4) % 4);
    for_words_in(bytes, spec.width, skew, span, [&](uint64_t word) { pages.push_back(page_of(word)); });
  }
  std::sort(pages.begin(), pages.end());
  pages.erase(std::unique(pages.begin(), pages.end()), pages.end());
  return pages;
}

bool flagged(uint64_t address, uint64_t bytes, uint8_t flags) {
  for (uint64_t at = address; at < address + bytes;) {
    const Unit* unit = unit_at(at);
    if (unit == nullptr || at - unit->base >= unit->bytes) return false;
    if ((unit->flags.load(std::memory_order_acquire) & flags) != 0) return true;
    at = unit->base + unit->bytes;
  }
  return false;
}

void add_range(uint64_t address, uint64_t bytes, ReachSet* set) {
  if (bytes == 0) return;
  for (const uint64_t at : {address, address + bytes - 1}) {
    Unit* unit = window().contains(at) ? unit_at(at) : nullptr;
    if (unit != nullptr) add_with_row(unit, set);
  }
}

void add_operands(std::span<const CopySpec> specs, ReachSet* set) {
  for (const CopySpec& spec : specs) {
    add_range(spec.dst, spec.dst_extent(), set);
    add_range(spec.src, spec.src_extent(), set);
  }
}

}  // namespace

void ReachCore::host_copy_begins(const CopySpec& spec, bool async, bool from_pinned, uint64_t cpu_limit, Carried* out) {
  if (spec.total() < 8 || spec.dst == 0) return;
  const Place to = place_of(spec.dst, spec.dst_on_device);
  if (to == Place::kPinnedHost) return;  // read at each launch that reaches it
  if (to == Place::kOurs && spec.total() > cpu_limit) {
    out->scan = out->unseen = true;
    return;
  }
  counters().host_scans.fetch_add(spec.total(), std::memory_order_relaxed);
  const std::vector<uint32_t> pages = pages_in(spec);
  // A driver need not know module globals as memory: what it calls plain host memory may be one.
  if (to == Place::kForeignDevice || to == Place::kHost) {
    pin_targets(pages);
    return;
  }
  // Pinned memory may change until the stream comes to the copy.
  if (async && to == Place::kOurs && from_pinned) out->scan = true;
  if (pages.empty() && !flagged(spec.dst, spec.dst_extent(), kFlagHoldsEdges)) return;
  const HolderRange holder = holder_of(spec.dst);
  if (holder.bytes == 0) return;
  const bool whole = !async && spec.rows == 1 && spec.dst == holder.base && spec.width >= holder.bytes;
  edges.add(holder, pages, whole);
}

void ReachCore::device_copy_begins(const CopySpec& spec, Carried* out) {
  if (spec.dst == 0 || spec.total() < 8) return;
  const uint64_t bytes = spec.src_extent();
  const bool ours = window().contains(spec.src);
  if (ours && !flagged(spec.src, bytes, kFlagHoldsEdges | kFlagScanPending)) return;
  Behaviour* habit = nullptr;
  const Place to = place_of(spec.dst, spec.dst_on_device, &habit);
  // Addresses that are copied back some day, maybe before the CPU could see them.
  if (habit != nullptr && (flagged(spec.src, bytes, kFlagHoldsEdges) || edges.pending_writes(spec.src, bytes))) {
    FunctionTable::suspect(*habit);
  }
  if (to == Place::kHost || to == Place::kPinnedHost) return;
  if (to == Place::kForeignDevice) {
    while (edges.pending(spec.src, bytes)) {
      poll();
      usleep(10);
    }
    bool complete = true;
    pin_targets(edges.targets(spec.src, bytes, &complete));
    if (!complete) {
      for (uint32_t i = 1; i < unit_count(); ++i) {
        if (const Unit* unit = unit_by_index(i)) pin_address(unit->base, 1, Pin::kPointerStored);
      }
    }
    return;
  }
  const HolderRange holder = holder_of(spec.dst);
  if (holder.bytes == 0) return;
  edges.inherit(holder, spec.src, bytes);
  if (edges.pending(spec.src, bytes)) out->scan = true;
  if (edges.copy_pending(spec.src, bytes)) out->unseen = true;
}

bool ReachCore::carry(const CopySpec& spec, bool async, uint64_t cpu_limit, Carried* out) {
  const Place from = place_of(spec.src, spec.src_on_device, &out->habit);
  if (from == Place::kHost || from == Place::kPinnedHost) {
    host_copy_begins(spec, async, from == Place::kPinnedHost, cpu_limit, out);
  } else if (from != Place::kForeignDevice) {
    device_copy_begins(spec, out);
  }
  return from == Place::kHost;
}

CUresult ReachCore::mapped(std::span<const CopySpec> specs, DriverCall call) {
  ReachSet set;
  add_operands(specs, &set);
  if (set.size() == 0) return call();
  if (const CUresult result = hold_mapped(set); result != CUDA_SUCCESS) return result;
  const CUresult result = call();
  drop_mapped(set);
  return result;
}

CUresult ReachCore::touch(std::span<const CopySpec> specs, StreamSlot& slot, Blocking blocking, DriverCall call) {
  if (streams().capturing(slot)) return mapped(specs, call);
  return with_raw(
      slot, [&](ReachSet& set) { add_operands(specs, &set); }, [&] { return call(); }, blocking);
}

CUresult ReachCore::copy(std::span<const CopySpec> specs, StreamSlot& slot, bool async, DriverCall call) {
  if (streams().capturing(slot)) return mapped(specs, call);
  counters(slot.device).copies.fetch_add(1, std::memory_order_relaxed);
  std::vector<HolderRange> behind;
  std::vector<HolderRange> parts;
  bool unseen = false;
  bool seen = true;  // by the CPU, out of buffers whose habits are known
  Behaviour* habit = nullptr;
  // The driver may wait for the GPU in an asynchronous copy too, when pageable memory is one of its sides.
  Blocking blocking = async ? Blocking::kNo : Blocking::kYes;
  for (const CopySpec& spec : specs) {
    if (async && spec.dst != 0 && !window().contains(spec.dst) && !known_range_at(spec.dst)) blocking = Blocking::kYes;
    if (spec.src == 0 || spec.dst == 0) continue;
    Carried carried;
    if (carry(spec, async, kCpuScanBytes, &carried)) blocking = Blocking::kYes;
    unseen |= carried.unseen;
    if (!carried.scan) continue;
    if (carried.habit != nullptr && !carried.unseen &&
        policy().pointers.load(std::memory_order_relaxed) == Pointers::kLearned &&
        !functions.wants_scan(*carried.habit, false)) {
      continue;
    }
    const HolderRange holder = holder_of(spec.dst);
    if (holder.bytes != 0) {
      behind.push_back(holder);
      parts.push_back({spec.dst, spec.dst_extent()});
    }
    seen &= carried.habit != nullptr;
    habit = specs.size() == 1 ? carried.habit : nullptr;
  }
  if (behind.empty()) return touch(specs, slot, blocking, call);
  poll();  // what earlier copies of the buffer showed may make this the last scan
  ScanPlace place = reserve(slot);
  const ReachSet* reached = nullptr;
  return with_raw(
      slot,
      [&](ReachSet& set) {
        add_operands(specs, &set);
        reached = &set;
      },
      [&] {
        ScanRequest request;
        request.number = sequence.announce(nullptr);
        const CUresult result = call();
        if (result != CUDA_SUCCESS) {
          sequence.done(request.number);
          return result;
        }
        request.holders = std::move(behind);
        request.of = unseen ? ScanOf::kUnseenCopy : seen ? ScanOf::kSeenCopy : ScanOf::kWrites;
        request.behaviour = habit;
        if (request.of == ScanOf::kSeenCopy) request.parts = std::move(parts);
        scan_behind(std::move(request), *reached, slot, &place);
        return result;
      },
      blocking);
}

}  // namespace loretoken
