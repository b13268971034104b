// What the guardrails do to a device's residency: what cost most stays raw, and what is packed comes back.
#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/size.h"
#include "driver/driver.h"
#include "guard/arbiter.h"
#include "memory/physical.h"
#include "report/report.h"
#include "residency/engine.h"
#include "streams/streams.h"

namespace loretoken {
namespace {

constexpr uint64_t kShareOfLimit = 8;  // an eighth of the limit per call
constexpr uint64_t kTellEveryNs = 1'000'000'000;
constexpr uint32_t kPenaltyPin = 1u << static_cast<int>(Pin::kPenalty);

// Waiting per byte that packing it won; the blob's size is unknown once it was dropped.
double cost_per_byte(const Unit& unit) {
  const uint64_t won = unit.bytes - std::min(unit.blob.bytes, unit.bytes - 1);
  return static_cast<double>(unit.cost_ns) / static_cast<double>(won);
}

void share_out(std::span<Unit* const> units, uint64_t ns) {
  uint64_t bytes = 0;
  for (const Unit* unit : units) bytes += unit->bytes;
  for (Unit* unit : units) {
    unit->cost_ns +=
        static_cast<uint64_t>(static_cast<double>(ns) * static_cast<double>(unit->bytes) / static_cast<double>(bytes));
  }
}

}  // namespace

uint64_t Engine::waited_ns() const {
  const Counters& counted = counters(rt_.ordinal);
  return counted.wait_ns.load(std::memory_order_relaxed) + counted.stall_ns.load(std::memory_order_relaxed);
}

// What the GPU took for it, shared out by bytes.
void Engine::count_stall(const Arrival& arrival) {
  float milliseconds = 0;
  if (driver().cuEventElapsedTime(&milliseconds, arrival.begun->event, arrival.event->event) != CUDA_SUCCESS) return;
  const auto ns = static_cast<uint64_t>(std::max(milliseconds, 0.0f) * 1e6f);
  Accounts::count(accounts_->stall_ns, ns);
  share_out(arrival.units, ns);
}

// What the call waited on the host, to those that it had to bring.
void Engine::count_host_wait(const ReachSet& set, uint64_t ns) {
  std::vector<Unit*> brought;
  for (Unit* unit : set) {
    if (unit->state.load(std::memory_order_acquire) == UnitState::kArriving) brought.push_back(unit);
  }
  share_out(brought, ns);
}

// The address range stays where it is and so does the content: only the mover is kept from it.
void Engine::leave_raw(Unit& unit) {
  ++unit.pin_counts[static_cast<int>(Pin::kPenalty)];
  unit.pins.fetch_or(kPenaltyPin, std::memory_order_seq_cst);
  accounts_.pinned(Pin::kPenalty, +1);
  penalised_ += unit.bytes;
}

void Engine::leave_no_more(Unit& unit) {
  if ((unit.pins.load(std::memory_order_relaxed) & kPenaltyPin) == 0) return;
  unit.pin_counts[static_cast<int>(Pin::kPenalty)] = 0;
  unit.pins.fetch_and(~kPenaltyPin, std::memory_order_seq_cst);
  accounts_.pinned(Pin::kPenalty, -1);
  penalised_ -= unit.bytes;
}

void Engine::leave_raw() {
  Lock lock(mutex_);
  std::vector<Unit*> costly;
  for (Unit* unit : units()) {
    if (unit->cost_ns != 0 && (unit->pins.load(std::memory_order_relaxed) & kPenaltyPin) == 0) costly.push_back(unit);
  }
  std::sort(costly.begin(), costly.end(), [](const Unit* a, const Unit* b) {
    const double of_a = cost_per_byte(*a);
    const double of_b = cost_per_byte(*b);
    return of_a != of_b ? of_a > of_b : a->index < b->index;
  });
  const uint64_t limit = rt_.limit.load(std::memory_order_relaxed);
  const uint64_t most = std::min(penalised_ + limit / kShareOfLimit, limit / 2);
  for (Unit* unit : costly) {
    if (penalised_ + unit->bytes <= most) leave_raw(*unit);
    unit->cost_ns /= 2;  // what was long ago counts less
  }
  log_info("device %d: %s stay raw for their penalty, %zu units had to be waited for", rt_.ordinal,
           format_bytes(penalised_).c_str(), costly.size());
}

void Engine::leave_nothing_raw() {
  Lock lock(mutex_);
  for (Unit* unit : units()) leave_no_more(*unit);
}

void Engine::bring_back() {
  ContextScope scope(rt_.context);  // without one, the driver does not even say how far an event is
  Lock lock(mutex_);
  if (closing() || wanted_ != 0 || context_error_ != CUDA_SUCCESS) return;
  settle();
  std::vector<Unit*> packed;
  for (Unit* unit : units()) {
    const UnitState state = unit->state.load(std::memory_order_acquire);
    if ((state == UnitState::kPacked || state == UnitState::kHost) && !unit->requested) packed.push_back(unit);
  }
  // The clock moves while we sort: order by a copy of it.
  std::vector<std::pair<uint64_t, Unit*>> order;
  for (Unit* unit : packed) order.emplace_back(unit->last_reach.load(std::memory_order_relaxed), unit);
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  const uint64_t limit = rt_.limit.load(std::memory_order_relaxed);
  std::vector<Unit*> batch;
  uint64_t moved = 0;
  for (const auto& [reach, unit] : order) {
    if (moved > limit / kShareOfLimit || room() < unit->bytes + low_water()) break;
    if (start_unpack(*unit, &batch) != Made::kYes) break;
    moved += unit->bytes;
  }
  flush(&batch, false);
}

void Engine::promise_broken(uint64_t bytes, const char* what) {
  Accounts::count(accounts_->out_of_memory);
  const uint64_t now = now_ns();
  if (told_of_memory_ns_ != 0 && now - told_of_memory_ns_ < kTellEveryNs) return;
  told_of_memory_ns_ = now;
  const auto mode = static_cast<uint32_t>(rt_.arbiter->mode());
  Accounts::count(accounts_->guard_events[LORETOKEN_GUARD_MEMORY]);
  report_event(rt_.ordinal, LORETOKEN_GUARD_MEMORY, mode, mode, bytes, rt_.physical->available(), what);
}

}  // namespace loretoken
