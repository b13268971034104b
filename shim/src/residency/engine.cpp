#include "residency/engine.h"

#include <algorithm>
#include <exception>

#include "base/clock.h"
#include "base/log.h"
#include "base/settings.h"
#include "driver/driver.h"
#include "memory/page_table.h"
#include "memory/physical.h"
#include "reach/reach.h"
#include "runtime/factories.h"

namespace loretoken {

// An address left over from a freed allocation may still be a parameter of a launch that never follows it.
static bool nothing_lives_in(const Unit& unit) {
  return (unit.flags.load(std::memory_order_acquire) & kFlagIdle) != 0;
}

Engine::OwnedEvent::OwnedEvent() {
  if (driver().cuEventCreate(&event, CU_EVENT_BLOCKING_SYNC) != CUDA_SUCCESS) event = nullptr;
}

Engine::OwnedEvent::~OwnedEvent() {
  if (event != nullptr) driver().cuEventDestroy_v2(event);
}

Engine::Engine(DeviceRuntime& runtime) : rt_(runtime), accounts_(runtime.ordinal), work_(runtime.unit_max) {
  ContextScope scope(rt_.context);
  RelaxedCapture relaxed;
  // Unpacks gate the program's next launch, so they go ahead of everything; packing goes behind.
  int least = 0;
  int greatest = 0;
  driver().cuCtxGetStreamPriorityRange(&least, &greatest);
  driver().cuStreamCreateWithPriority(&unpack_stream_, CU_STREAM_NON_BLOCKING, greatest);
  driver().cuStreamCreateWithPriority(&pack_stream_, CU_STREAM_NON_BLOCKING, least);
  driver().cuEventCreate(&pack_done_, CU_EVENT_DISABLE_TIMING | CU_EVENT_BLOCKING_SYNC);
  if (!usable()) return;
  const uint64_t chunk = std::min<uint64_t>(uint64_t{32} << 20, rt_.unit_max);
  const uint64_t reserve = (Codec::max_blob_bytes(rt_.unit_max) + chunk - 1) / chunk * chunk + chunk;
  rt_.physical->charge(work_.device_bytes());
  rt_.physical->set_reserve(reserve);
  mover_ = std::thread([this] { mover_main(); });
}

Engine::~Engine() {
  stop();
}

void Engine::stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  mover_wake_.notify_all();
  changed_.notify_all();
  if (mover_.joinable()) mover_.join();
}

// Its results lie in memory of the context.
void Engine::rest() {
  Lock lock(mutex_);
  mover_wake_.notify_all();
  changed_.wait(lock, [&] { return !making_room_; });
}

bool Engine::usable() const {
  return work_.ready() && unpack_stream_ != nullptr && pack_stream_ != nullptr && pack_done_ != nullptr;
}

uint64_t Engine::low_water() const {
  return std::max(settings().low_water.of(rt_.limit.load(std::memory_order_relaxed)), rt_.unit_max);
}

CUresult Engine::back(Unit& unit) {
  // Others may live in a shared unit that was packed: the new member comes back with them.
  const UnitState state = unit.state.load(std::memory_order_acquire);
  if (state == UnitState::kPacked || state == UnitState::kHost) return CUDA_SUCCESS;
  return bring(unit);
}

CUresult Engine::bring(Unit& unit) {
  std::lock_guard turn(turn_);
  Lock lock(mutex_);
  const uint64_t waits_since = room() < unit.bytes ? now_ns() : 0;
  unit.requested = true;
  unit.last_reach.store(reach_clock(), std::memory_order_relaxed);
  CUresult error = CUDA_SUCCESS;
  std::vector<Unit*> batch;
  const bool made = make_one_raw(unit, &batch, lock, &error);
  const CUresult queued = flush(&batch);
  unit.requested = false;
  if (room() < low_water()) wake_mover();
  if (waits_since != 0) Accounts::count(accounts_->wait_ns, now_ns() - waits_since);
  return made ? queued : error;
}

void Engine::refused(uint64_t bytes) {
  Lock lock(mutex_);
  promise_broken(bytes, "an allocation within the virtual size cannot be held");
}

CUresult Engine::find_room(uint64_t bytes) {
  std::lock_guard turn(turn_);
  Lock lock(mutex_);
  return room() >= bytes || wait_for_room(bytes, lock) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

void Engine::unback(Unit& unit) {
  Lock lock(mutex_);
  changed_.wait(lock, [&] { return unit.state.load(std::memory_order_acquire) != UnitState::kClaimed; });
  drop_blob(unit);
  unit.damaged = false;
  if (unit.handle != 0) {
    release_handle(unit);
    accounts_.raw_changed(-static_cast<int64_t>(unit.bytes));
  }
  unit.state.store(UnitState::kUnbacked, std::memory_order_seq_cst);
  changed_.notify_all();
}

CUresult Engine::make_raw(const ReachSet& set, StreamSlot* stream, bool host_wait) {
  const uint64_t started = now_ns();
  std::unique_lock<std::mutex> turn(turn_, std::defer_lock);
  Lock lock(mutex_);
  settle();
  const auto resident = [&] {
    return std::all_of(set.begin(), set.end(), [](Unit* unit) {
      const UnitState state = unit->state.load(std::memory_order_acquire);
      return state == UnitState::kRaw || state == UnitState::kArriving || nothing_lives_in(*unit);
    });
  };
  if (!resident()) {
    lock.unlock();
    turn.lock();
    lock.lock();
  }
  uint64_t bytes = 0;
  for (Unit* unit : set) {
    unit->holds.fetch_add(1, std::memory_order_seq_cst);
    unit->requested = true;
    bytes += unit->bytes;
  }
  CUresult error = CUDA_SUCCESS;
  std::vector<Unit*> batch;
  const uint64_t before = now_ns();
  for (Unit* unit : set) {
    if (!nothing_lives_in(*unit) && !make_one_raw(*unit, &batch, lock, &error)) break;
  }
  if (const CUresult queued = flush(&batch); error == CUDA_SUCCESS) error = queued;
  count_host_wait(set, now_ns() - before);
  const auto refuse_damage = [&] {
    const auto lost = [&](Unit* unit) { return !nothing_lives_in(*unit) && is_lost(*unit); };
    if (error != CUDA_SUCCESS || std::count_if(set.begin(), set.end(), lost) == 0) return;
    error = CUDA_ERROR_ECC_UNCORRECTABLE;
    damage_untold_ = false;
  };
  refuse_damage();
  const uint64_t now = reach_clock();
  for (Unit* unit : set) {
    unit->requested = false;
    unit->last_reach.store(now, std::memory_order_relaxed);
    if (stream == nullptr) continue;
    unit->stream_mask.fetch_or(stream->mask(), std::memory_order_relaxed);
#ifndef LORETOKEN_MUTATE_EVENT_WAIT
    if (error == CUDA_SUCCESS && unit->state.load(std::memory_order_acquire) == UnitState::kArriving) {
      error = driver().cuStreamWaitEvent(stream->stream, unit->ready, 0);
    }
#endif
  }
  if (host_wait) {
    while (error == CUDA_SUCCESS && !arrivals_.empty() && std::any_of(set.begin(), set.end(), [](Unit* unit) {
             return unit->state.load(std::memory_order_acquire) == UnitState::kArriving;
           })) {
      settle(true);
    }
    refuse_damage();
  }
  for (Unit* unit : set) {
    if (stream == nullptr && error == CUDA_SUCCESS && unit->hidden) error = map(*unit);
  }
  const bool low = room() < low_water();
  if (low) wake_mover();
  const uint64_t limit = rt_.physical->available();
  if (error == CUDA_ERROR_OUT_OF_MEMORY) promise_broken(bytes, "what one operation reaches does not fit");
  lock.unlock();
  Accounts::count(accounts_->slow_launches);
  Accounts::count(accounts_->wait_ns, now_ns() - started);
  if (error != CUDA_SUCCESS) {
    release_holds(set);
    if (error == CUDA_ERROR_OUT_OF_MEMORY) {
      log_error(
          "an operation reaches %.1f MiB that do not fit the physical limit of %.1f MiB beside what must stay raw",
          static_cast<double>(bytes) / 1048576.0, static_cast<double>(limit) / 1048576.0);
    }
  }
  return error;
}

void Engine::release_holds(const ReachSet& set) {
  for (Unit* unit : set) unit->holds.fetch_sub(1, std::memory_order_release);
}

CUresult Engine::pin(Unit& unit, Pin reason) {
  {
    Lock lock(mutex_);
    ++unit.pin_counts[static_cast<int>(reason)];
    unit.pins.fetch_or(1u << static_cast<int>(reason), std::memory_order_seq_cst);
  }
  accounts_.pinned(reason, +1);
  if (unit.state.load(std::memory_order_acquire) == UnitState::kRaw) return CUDA_SUCCESS;
  const CUresult result = bring(unit);
  Lock lock(mutex_);
  while (unit.state.load(std::memory_order_acquire) == UnitState::kArriving && !unit.damaged) settle(true);
  return result == CUDA_SUCCESS && is_lost(unit) ? CUDA_ERROR_ECC_UNCORRECTABLE : result;
}

void Engine::unpin(Unit& unit, Pin reason) {
  Lock lock(mutex_);
  uint32_t& count = unit.pin_counts[static_cast<int>(reason)];
  if (count == 0) return;
  accounts_.pinned(reason, -1);
  if (--count == 0) unit.pins.fetch_and(~(1u << static_cast<int>(reason)), std::memory_order_seq_cst);
}

void Engine::discard_content(Unit& unit) {
  Lock lock(mutex_);
  for (;;) {
    const UnitState state = unit.state.load(std::memory_order_acquire);
    if (state == UnitState::kClaimed) {
      unit.cancel_pack = true;
      changed_.wait(lock, [&] { return unit.state.load(std::memory_order_acquire) != UnitState::kClaimed || stop_; });
    } else if (state == UnitState::kArriving && !unit.damaged) {
      settle(true);
    } else {
      break;
    }
  }
  if (unit.damaged) {
    unit.damaged = false;
    unit.state.store(UnitState::kRaw, std::memory_order_seq_cst);
  } else if (unit.state.load(std::memory_order_acquire) != UnitState::kRaw) {
    if (unit.blob.bytes != 0) accounts_.packed(unit.blob_on_host, unit.blob.bytes, content_of(unit), -1);
    unit.state.store(UnitState::kUnbacked, std::memory_order_seq_cst);
  }
  drop_blob(unit);
  unit.clean_drops = 0;
  unit.dirty_drops = 0;
  unit.ever_packed = false;
  unit.retry_pack_after = 0;
  unit.undecodable = false;
  unit.cost_ns = 0;
  leave_no_more(unit);
}

void Engine::trim(uint64_t keep) {
  Lock lock(mutex_);
  reclaim_idle(~uint64_t{0});
  rt_.physical->trim(keep);
  changed_.notify_all();
}

std::unique_ptr<Residency> make_residency(DeviceRuntime& runtime) {
  auto engine = std::make_unique<Engine>(runtime);
  if (!engine->usable()) return nullptr;
  return engine;
}

uint64_t reach_clock() {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#else
  return now_ns();
#endif
}

}  // namespace loretoken
