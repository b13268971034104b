#include "report/report.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "base/clock.h"
#include "base/log.h"
#include "base/settings.h"
#include "report/charge.h"
#include "report/counters.h"
#include "report/telemetry_file.h"

namespace loretoken {
namespace {

constexpr uint32_t kClaiming = UINT32_MAX;  // pid of a row while its new owner fills it in
constexpr uint64_t kReclaimEveryNs = 100'000'000;

std::atomic<loretoken_telemetry*> g_telemetry{nullptr};
std::atomic<loretoken_row*> g_rows[LORETOKEN_MAX_DEVICES];
std::atomic<loretoken_process*> g_process{nullptr};
std::atomic<int> g_charge_index[LORETOKEN_MAX_DEVICES];  // plus one; 0: not stated

template <class T>
std::atomic_ref<T> atomic(T& field) {
  return std::atomic_ref<T>(field);
}

// Takes a row whose owner is gone, or a free one; free ones first, so that the figures of finished processes stay
// readable as long as there is room. nullptr: all are taken.
template <class Row>
Row* claim(Row* rows, uint32_t count) {
  for (const bool dead_too : {false, true}) {
    for (uint32_t i = 0; i < count; ++i) {
      uint32_t owner = atomic(rows[i].pid).load(std::memory_order_acquire);
      if (owner == kClaiming) continue;
      if (owner != 0 && (!dead_too || process_alive(owner, rows[i].start_time))) continue;
      if (!atomic(rows[i].pid).compare_exchange_strong(owner, kClaiming, std::memory_order_acq_rel)) continue;
      memset(reinterpret_cast<char*>(&rows[i]) + sizeof(uint32_t), 0, sizeof(Row) - sizeof(uint32_t));
      return &rows[i];
    }
  }
  return nullptr;
}

template <class Row>
Row* own(Row* rows, uint32_t count, const char* what) {
  Row* row = claim(rows, count);
  if (row == nullptr) {
    log_warn("the telemetry file has no free row for this %s; its figures are not seen by others", what);
    row = new Row{};
  }
  row->start_time = process_start_time(static_cast<uint32_t>(getpid()));
  return row;
}

template <class Row>
void publish(Row* row) {
  atomic(row->pid).store(static_cast<uint32_t>(getpid()), std::memory_order_release);
}

// Sets `slot` to what `make` returns, once; a thread that loses gives its row back.
template <class Row, class Make>
Row* once(std::atomic<Row*>& slot, Make make) {
  Row* ready = slot.load(std::memory_order_acquire);
  if (ready != nullptr) return ready;
  Row* mine = make();
  if (slot.compare_exchange_strong(ready, mine, std::memory_order_acq_rel)) return mine;
  atomic(mine->pid).store(0, std::memory_order_release);
  return ready;
}

loretoken_row* row_of(int device) {
  const int index = std::clamp<int>(device, 0, LORETOKEN_MAX_DEVICES - 1);
  if (loretoken_row* ready = g_rows[index].load(std::memory_order_acquire)) return ready;
  return once(g_rows[index], [index] {
    loretoken_row* row = own(telemetry()->rows, LORETOKEN_MAX_ROWS, "process and device");
    row->device = static_cast<uint32_t>(index);
    publish(row);
    return row;
  });
}

loretoken_process* process() {
  if (loretoken_process* ready = g_process.load(std::memory_order_acquire)) return ready;
  return once(g_process, [] {
    loretoken_process* row = own(telemetry()->processes, LORETOKEN_MAX_PROCESSES, "process");
    publish(row);
    return row;
  });
}

int charge_index(int device) {
  const int ordinal = std::clamp<int>(device, 0, LORETOKEN_MAX_DEVICES - 1);
  const int stated = g_charge_index[ordinal].load(std::memory_order_relaxed);
  return stated == 0 ? ordinal : stated - 1;
}

void copy_text(char* to, size_t capacity, const char* from) {
  const size_t length = std::min(strlen(from), capacity - 1);
  memcpy(to, from, length);
  memset(to + length, 0, capacity - length);
}

// What `of` says of each other live process, together.
template <class Of>
uint64_t sum_of_others(Of of) {
  static std::atomic<uint64_t> reclaimed_at{0};
  const uint64_t now = now_ns();
  uint64_t last = reclaimed_at.load(std::memory_order_relaxed);
  const bool look = now - last >= kReclaimEveryNs && reclaimed_at.compare_exchange_strong(last, now);
  const loretoken_process* self = process();
  uint64_t sum = 0;
  for (loretoken_process& row : telemetry()->processes) {
    uint32_t owner = atomic(row.pid).load(std::memory_order_acquire);
    if (&row == self || owner == 0 || owner == kClaiming) continue;
    if (look && !process_alive(owner, row.start_time)) {
      atomic(row.pid).compare_exchange_strong(owner, 0, std::memory_order_acq_rel);
      continue;
    }
    sum += of(row);
  }
  return sum;
}

}  // namespace

loretoken_telemetry* telemetry() {
  if (loretoken_telemetry* ready = g_telemetry.load(std::memory_order_acquire)) return ready;
  const std::string& path = settings().telemetry;
  loretoken_telemetry* mine = path.empty() ? nullptr : map_telemetry(path.c_str());
  if (mine == nullptr) mine = private_telemetry();
  loretoken_telemetry* expected = nullptr;
  // A loser's mapping stays: a few hundred KiB of address space, once.
  return g_telemetry.compare_exchange_strong(expected, mine, std::memory_order_acq_rel) ? mine : expected;
}

Counters& counters(int device) {
  return *reinterpret_cast<Counters*>(&row_of(device)->physical_total);
}

void describe_device(int device, const uint8_t uuid[16]) {
  memcpy(row_of(device)->uuid, uuid, 16);
  atomic(row_of(device)->updated).store(now_ns(), std::memory_order_relaxed);
}

void report_mode(int device, uint32_t mode, uint32_t guard, const char* cause) {
  loretoken_row* row = row_of(device);
  copy_text(row->mode_cause, sizeof row->mode_cause, cause);
  atomic(row->mode_guard).store(guard, std::memory_order_relaxed);
  atomic(row->mode).store(mode, std::memory_order_relaxed);
  atomic(row->updated).store(now_ns(), std::memory_order_relaxed);
}

void report_event(int device, uint32_t guard, uint32_t from_mode, uint32_t to_mode, uint64_t figure, uint64_t limit,
                  const char* text, bool eased) {
  loretoken_telemetry* file = telemetry();
  const uint64_t number = atomic(file->event_next).fetch_add(1, std::memory_order_acq_rel) + 1;
  loretoken_event& event = file->events[number % LORETOKEN_MAX_EVENTS];
  atomic(event.number).store(0, std::memory_order_release);
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  event.realtime_ns = static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
  event.pid = static_cast<uint32_t>(getpid());
  event.device = static_cast<uint32_t>(device);
  event.guard = guard;
  event.from_mode = from_mode;
  event.to_mode = to_mode;
  event.eased = eased ? 1 : 0;
  event.figure = figure;
  event.limit = limit;
  copy_text(event.text, sizeof event.text, text);
  atomic(event.number).store(number, std::memory_order_release);
}

void charge_under(int device, int index) {
  if (device < 0 || device >= static_cast<int>(LORETOKEN_MAX_DEVICES) || index < 0 ||
      index >= static_cast<int>(LORETOKEN_MAX_DEVICES)) {
    return;
  }
  g_charge_index[device].store(index + 1, std::memory_order_relaxed);
}

void charge(int device, uint64_t bytes) {
  atomic(process()->charged[charge_index(device)]).fetch_add(bytes, std::memory_order_relaxed);
}

void discharge(int device, uint64_t bytes) {
  atomic(process()->charged[charge_index(device)]).fetch_sub(bytes, std::memory_order_relaxed);
}

uint64_t charged(int device) {
  return atomic(process()->charged[charge_index(device)]).load(std::memory_order_relaxed);
}

uint64_t charged_by_others(int device) {
  const int index = charge_index(device);
  return sum_of_others(
      [&](loretoken_process& row) { return atomic(row.charged[index]).load(std::memory_order_relaxed); });
}

void charge_pinned(uint64_t bytes) {
  atomic(process()->pinned).fetch_add(bytes, std::memory_order_relaxed);
}

void discharge_pinned(uint64_t bytes) {
  atomic(process()->pinned).fetch_sub(bytes, std::memory_order_relaxed);
}

uint64_t pinned_by_group() {
  return atomic(process()->pinned).load(std::memory_order_relaxed) +
         sum_of_others([](loretoken_process& row) { return atomic(row.pinned).load(std::memory_order_relaxed); });
}

void report_after_fork() {
  for (auto& row : g_rows) row.store(nullptr, std::memory_order_relaxed);
  g_process.store(nullptr, std::memory_order_relaxed);
  // The parent's mapping is left behind: a private one would still name the parent as alive.
  g_telemetry.store(nullptr, std::memory_order_relaxed);
}

}  // namespace loretoken
