#include "memory/page_table.h"

#include <sys/mman.h>

#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "base/log.h"

namespace loretoken {
namespace {

constexpr uint32_t kMaxUnits = 1u << 21;

// Zero pages that cost nothing until written; never unmapped.
template <class T>
T* lazy_table(uint64_t count) {
  void* at =
      mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return at == MAP_FAILED ? nullptr : static_cast<T*>(at);
}

struct Table {
  Window window;
  std::atomic<uint32_t>* pages = nullptr;  // unit index per page of the window
  std::atomic<Unit*>* units = nullptr;     // by index
  std::atomic<uint32_t> next{1};
  std::unique_ptr<AddressSpace> space;
  std::mutex mutex;            // guards what follows, and every write to the tables
  std::vector<Unit*> objects;  // every object ever made, for reuse by index
  struct FreeRow {
    uint32_t first, count;
  };
  std::deque<FreeRow> retired;  // oldest first
};

Table& table() {
  static Table* instance = new Table;  // never destroyed: readers may be late
  return *instance;
}

// Rows that must have been retired after a row before its indices and objects serve again. A reader holds a unit for
// the length of one hook; this many retirements take seconds.
constexpr size_t kQuarantine = 4096;

void set_pages(Table& t, const Unit& unit, uint64_t bytes, uint32_t value) {
  const uint64_t first = (unit.base - t.window.base) / kPageBytes;
  for (uint64_t page = first; page < first + bytes / kPageBytes; ++page) {
    t.pages[page].store(value, std::memory_order_release);
  }
}

// Indices of a row are consecutive; a retired row of the same length is used again.
uint32_t take_indices(Table& t, uint32_t count) {
  if (t.retired.size() > kQuarantine && t.retired.front().count == count) {
    const uint32_t first = t.retired.front().first;
    t.retired.pop_front();
    return first;
  }
  const uint32_t first = t.next.load(std::memory_order_relaxed);
  if (first + count > kMaxUnits) return 0;
  for (uint32_t i = 0; i < count; ++i) {
    t.objects.resize(std::max<size_t>(t.objects.size(), first + i + 1));
    t.objects[first + i] = new Unit;
    t.objects[first + i]->index = first + i;
  }
  t.next.store(first + count, std::memory_order_release);
  return first;
}

}  // namespace

const Window& window() {
  return table().window;
}

AddressSpace& address_space() {
  return *table().space;
}

Unit* unit_by_index(uint32_t index) {
  Table& t = table();
  if (index == 0 || index >= t.next.load(std::memory_order_acquire)) return nullptr;
  return t.units[index].load(std::memory_order_acquire);
}

uint32_t unit_count() {
  return table().next.load(std::memory_order_acquire);
}

Unit* unit_at(uint64_t address) {
  Table& t = table();
  if (!t.window.contains(address)) return nullptr;
  const uint32_t index = t.pages[(address - t.window.base) / kPageBytes].load(std::memory_order_acquire);
  return index == 0 ? nullptr : t.units[index].load(std::memory_order_acquire);
}

Unit* unit_after_guard(uint64_t address) {
  Unit* unit = unit_at(address);
  if (unit == nullptr || address < unit->base + unit->bytes) return nullptr;
  Unit* next = unit_at(unit->base + unit->bytes + kGuardBytes);
  return next != nullptr && next->base == unit->base + unit->bytes + kGuardBytes ? next : nullptr;
}

bool install_window(uint64_t base, uint64_t bytes) {
  Table& t = table();
  std::lock_guard lock(t.mutex);
  auto* pages = lazy_table<std::atomic<uint32_t>>(bytes / kPageBytes + 1);
  if (t.units == nullptr) t.units = lazy_table<std::atomic<Unit*>>(kMaxUnits);
  if (pages == nullptr || t.units == nullptr) {
    log_error("no memory for the page table of %llu bytes of addresses", static_cast<unsigned long long>(bytes));
    return false;
  }
  t.pages = pages;
  t.space = std::make_unique<AddressSpace>(base, bytes);
  t.window.base.store(base, std::memory_order_relaxed);
  t.window.bytes.store(bytes, std::memory_order_release);
  return true;
}

Unit* create_units(uint64_t base, const uint64_t* sizes, uint32_t count, int device, UnitKind kind,
                   uint64_t content_bytes) {
  Table& t = table();
  std::lock_guard lock(t.mutex);
  const uint32_t first = take_indices(t, count);
  if (first == 0) return nullptr;
  for (uint32_t i = 0; i < count; ++i) {
    Unit& unit = *t.objects[first + i];
    unit.base = base;
    unit.bytes = sizes[i];
    unit.device = static_cast<uint8_t>(device);
    unit.kind = kind;
    unit.row_first = first;
    unit.row_count = count;
    unit.state.store(UnitState::kUnbacked, std::memory_order_relaxed);
    unit.flags.store(0, std::memory_order_relaxed);
    unit.stream_mask.store(0, std::memory_order_relaxed);
    unit.last_reach.store(0, std::memory_order_relaxed);
    unit.content_bytes = content_bytes > sizes[i] ? sizes[i] : content_bytes;
    if (content_bytes != 0) content_bytes -= unit.content_bytes;
    base += sizes[i];
  }
  for (uint32_t i = 0; i < count; ++i) {
    Unit& unit = *t.objects[first + i];
    t.units[first + i].store(&unit, std::memory_order_release);
    set_pages(t, unit, unit.bytes + (i + 1 == count ? kGuardBytes : 0), first + i);
  }
  return t.objects[first];
}

void retire_units(Unit* first) {
  Table& t = table();
  std::lock_guard lock(t.mutex);
  const uint32_t index = first->index;
  const uint32_t count = first->row_count;
  for (uint32_t i = 0; i < count; ++i) {
    Unit& unit = *t.objects[index + i];
    set_pages(t, unit, unit.bytes + (i + 1 == count ? kGuardBytes : 0), 0);
    t.units[index + i].store(nullptr, std::memory_order_release);
  }
  t.retired.push_back({index, count});
}

}  // namespace loretoken
