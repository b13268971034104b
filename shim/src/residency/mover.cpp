// The mover: one thread per device that keeps a low-water mark of physical memory free and makes room on demand.
//
// Order of what it gives up: memory without content, blobs kept for units that keep changing, cold raw units (packed),
// all kept blobs, packed blobs (spilled to the host). In modes hold and off nothing new is packed; the rest goes on.
// Last of all, so that nothing the program was promised fails: packing whatever the mode is (docs/adr/0007).
#include <algorithm>
#include <chrono>

#include "base/depth.h"
#include "base/log.h"
#include "driver/driver.h"
#include "guard/arbiter.h"
#include "memory/page_table.h"
#include "memory/physical.h"
#include "residency/engine.h"

namespace loretoken {

using namespace std::chrono_literals;

namespace {
// How long dry rounds may go on while a thread waits, and how many there must have been: on a busy machine a round can
// take seconds and prove nothing. One counts as kLongestRound at most: a process that was stopped in between has not
// waited.
constexpr auto kPatience = 2s;
constexpr uint32_t kLeastRounds = 20;
constexpr auto kStreamPatience = 120s;  // while a stream of the program's holds what could be won
constexpr auto kLongestRound = 4s;
constexpr auto kPenalisedFor = 20ms;  // dry rounds before what is left raw for its penalty goes too
}  // namespace

void Engine::wake_mover() {
  woken_ = true;
  mover_wake_.notify_one();
}

uint64_t Engine::room() const {
  const uint64_t taken = rt_.physical->held() - rt_.physical->idle() + rt_.physical->reserve();
  const uint64_t available = rt_.physical->available();
  return available > taken ? available - taken : 0;
}

std::vector<Unit*> Engine::units() const {
  std::vector<Unit*> mine;
  const uint32_t count = unit_count();
  for (uint32_t index = 1; index < count; ++index) {
    Unit* unit = unit_by_index(index);
    if (unit != nullptr && unit->device == rt_.ordinal) mine.push_back(unit);
  }
  return mine;
}

void Engine::mover_main() {
  InShim inside;
  driver().cuCtxSetCurrent(rt_.context);
  CUstreamCaptureMode relaxed = CU_STREAM_CAPTURE_MODE_RELAXED;
  driver().cuThreadExchangeStreamCaptureMode(&relaxed);
  auto pause = 100ms;
  Lock lock(mutex_);
  while (!stop_) {
    if (rt_.closed.load(std::memory_order_acquire)) {  // the context is gone or about to be; it may come back
      mover_wake_.wait_for(lock, 100ms);
      context_error_ = CUDA_SUCCESS;
      continue;
    }
    if (context_error_ != CUDA_SUCCESS) {
      ++exhausted_;
      changed_.notify_all();
      mover_wake_.wait_for(lock, 100ms, [&] { return woken_ || stop_; });
      woken_ = false;
      continue;
    }
    CUcontext current = nullptr;
    if (driver().cuCtxGetCurrent(&current) == CUDA_ERROR_DEINITIALIZED) return;  // the process is ending
    settle();
    const uint64_t target = std::max(low_water(), wanted_);
    const auto idle = arrivals_.empty() ? std::chrono::milliseconds(pause) : 1ms;
    if (room() >= target) {
      if (wanted_ != 0) changed_.notify_all();  // room can come from anywhere: a free, a smaller reserve, another limit
      pause = 100ms;
      mover_wake_.wait_for(lock, idle, [&] { return woken_ || stop_; });
      woken_ = false;
      continue;
    }
    woken_ = false;
    waits_for_streams_ = false;
    const auto began = std::chrono::steady_clock::now();
    making_room_ = true;
    const uint64_t won = make_room(target, lock);
    making_room_ = false;
    if (won != 0 || closing()) changed_.notify_all();
    if (won != 0 || wanted_ == 0) {
      dry_ = 0ns;
      dry_rounds_ = 0;
    }
    if (room() >= target || won != 0 || stop_) continue;
    // Units held by running calls may still come free, so one dry round proves nothing.
    const auto patience = waits_for_streams_ ? kStreamPatience : kPatience;
    const bool tried = dry_ > patience && ++dry_rounds_ >= kLeastRounds;
    if (wanted_ != 0 && room() < wanted_ && (!anything_to_win(lock) || tried)) {
      dry_ = 0ns;
      dry_rounds_ = 0;
      ++exhausted_;
      changed_.notify_all();
    }
    // Nothing could be won: the program must run on first. Short while a thread waits, longer while only the low-water
    // mark is missed.
    pause = wanted_ != 0 ? 1ms : std::min(pause * 2, std::chrono::milliseconds(200));
    if (wanted_ != 0) {
      lock.unlock();
      std::this_thread::sleep_for(100us);
      lock.lock();
      dry_ += std::min<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - began, kLongestRound);
    } else {
      mover_wake_.wait_for(lock, pause, [&] { return woken_ || stop_; });
    }
  }
}

// Whether waiting can still help: something is on its way, or a unit may become a victim without the waiting thread's
// help.
bool Engine::anything_to_win(Lock&) const {
  if (!arrivals_.empty()) return true;
  const uint64_t now = reach_clock();
  const uint32_t kept = ~(1u << static_cast<int>(Pin::kPenalty));
  for (Unit* unit : units()) {
    const UnitState state = unit->state.load(std::memory_order_acquire);
    if (state == UnitState::kClaimed) return true;
    if (unit->requested) continue;
    const bool idle = (unit->flags.load(std::memory_order_acquire) & kFlagIdle) != 0;
    if (state == UnitState::kRaw && idle) return true;
    if (state == UnitState::kRaw && unit->blob.bytes != 0) return true;
    if (state == UnitState::kRaw && (unit->pins.load() & kept) == 0 && worth_packing(*unit, now)) return true;
    if (state == UnitState::kPacked && rt_.host->used() + unit->blob.bytes <= rt_.host->limit() &&
        rt_.host->limit() != 0 && !host_full_) {
      return true;
    }
  }
  return false;
}

uint64_t Engine::make_room(uint64_t target, Lock& lock) {
  uint64_t won = reclaim_idle(target);
  if (room() >= target) return won;
  won += drop_kept_blobs(target, false);
  if (room() >= target) return won;
  if (rt_.arbiter->mode() == Mode::kFull) {
    const auto began = std::chrono::steady_clock::now();
    won += pack_some(target, Spare::kPenalised, lock);
    rest_after_packing(std::chrono::steady_clock::now() - began, lock);
  }
  if (won != 0 || room() >= target) return won;
  // Only a waiting thread is worth more than the packed copies we have: the low-water mark is not.
  if (wanted_ == 0) return 0;
  won += drop_kept_blobs(wanted_, true);
  if (won == 0) won = spill(wanted_, lock);
  if (won == 0) won = force_packs(wanted_, lock);
  return won;
}

uint64_t Engine::force_packs(uint64_t target, Lock& lock) {
  uint64_t won = 0;
  if (rt_.arbiter->mode() != Mode::kFull) {
    const uint64_t before = accounts_->packs.load(std::memory_order_relaxed);
    won = pack_some(target, Spare::kPenalised, lock);
    Accounts::count(accounts_->forced_packs, accounts_->packs.load(std::memory_order_relaxed) - before);
  }
  if (won == 0 && penalised_ != 0 && dry_ > kPenalisedFor) won = pack_some(target, Spare::kNothing, lock);
  return won;
}

// A guardrail slowed packing down: after each round as much rest as makes 1 / 2^n of the rate. A thread that waits for
// room is kept for a tenth of a second at most.
void Engine::rest_after_packing(std::chrono::nanoseconds took, Lock& lock) {
  const uint32_t backoff = rt_.arbiter->backoff();
  if (backoff == 0) return;
  const auto rest = took * ((1 << std::min(backoff, 10u)) - 1);
  const std::chrono::nanoseconds most = wanted_ != 0 ? 100ms : 2000ms;
  mover_wake_.wait_for(lock, std::min(rest, most), [&] { return closing(); });
}

uint64_t Engine::reclaim_idle(uint64_t target) {
  uint64_t won = 0;
  for (Unit* unit : units()) {
    if (room() >= target) break;
    if (unit->state.load(std::memory_order_acquire) != UnitState::kRaw) continue;
    if ((unit->flags.load(std::memory_order_seq_cst) & kFlagIdle) == 0 || unit->requested) continue;
    if (unit->pins.load(std::memory_order_relaxed) & ~(1u << static_cast<int>(Pin::kSmall))) continue;
    if (!streams().passed(uses_of(*unit))) continue;
    unit->state.store(UnitState::kClaimed, std::memory_order_seq_cst);
    // The heap clears the idle flag before it reads the state: one of us sees the other.
    if ((unit->flags.load(std::memory_order_seq_cst) & kFlagIdle) == 0 || unit->holds.load() != 0) {
      unit->state.store(UnitState::kRaw, std::memory_order_seq_cst);
      continue;
    }
    drop_blob(*unit);
    release_handle(*unit);
    accounts_.raw_changed(-static_cast<int64_t>(unit->bytes));
    unit->state.store(UnitState::kUnbacked, std::memory_order_seq_cst);
    won += unit->bytes;
  }
  if (won != 0) changed_.notify_all();
  return won;
}

uint64_t Engine::drop_kept_blobs(uint64_t target, bool all) {
  uint64_t won = 0;
  const uint64_t before = rt_.blobs->backed();
  for (Unit* unit : units()) {
    if (room() >= target) break;
    if (unit->state.load(std::memory_order_acquire) != UnitState::kRaw || unit->blob.bytes == 0) continue;
    if (unit->blob_on_host || (!all && unit->dirty_drops <= unit->clean_drops)) continue;
    drop_blob(*unit);
  }
  won += before - rt_.blobs->backed();
  return won;
}

uint64_t Engine::spill(uint64_t target, Lock& lock) {
  std::vector<Unit*> packed;
  for (Unit* unit : units()) {
    if (unit->state.load(std::memory_order_acquire) == UnitState::kPacked && !unit->requested) packed.push_back(unit);
  }
  std::sort(packed.begin(), packed.end(), [](Unit* a, Unit* b) { return a->last_reach.load() < b->last_reach.load(); });
  const uint64_t before = rt_.blobs->backed();
  uint64_t moved = 0;
  for (Unit* unit : packed) {
    if (room() >= target || moved >= 4 * target) break;
    if (unit->state.load(std::memory_order_acquire) != UnitState::kPacked || unit->requested) continue;
    // Claimed as far as others are concerned: a launch that needs it waits for the end of the copy.
    unit->state.store(UnitState::kClaimed, std::memory_order_seq_cst);
    unit->cancel_pack = false;
    const BlobRef blob = unit->blob;
    lock.unlock();  // pinning host memory and the copy take their time
    void* host = rt_.host->allocate(blob.bytes);
    CUresult result = host == nullptr ? CUDA_ERROR_OUT_OF_MEMORY
                                      : driver().cuMemcpyDtoHAsync_v2(host, blob.address, blob.bytes, pack_stream_);
    if (result == CUDA_SUCCESS) result = gpu_wait();
    lock.lock();
    if (result != CUDA_SUCCESS) {
      if (host != nullptr) {
        rt_.host->release(host);
        log_error("spilling a blob to the host failed with driver error %d", result);
      }
      host_full_ = true;
      unit->state.store(UnitState::kPacked, std::memory_order_seq_cst);
      changed_.notify_all();
      break;
    }
    rt_.blobs->release(blob.address);
    unit->blob = {reinterpret_cast<uint64_t>(host), blob.bytes};
    unit->blob_on_host = true;
    accounts_.packed(false, blob.bytes, content_of(*unit), -1);
    accounts_.packed(true, blob.bytes, content_of(*unit), +1);
    Accounts::count(accounts_->spills);
    unit->state.store(UnitState::kHost, std::memory_order_seq_cst);
    changed_.notify_all();
    moved += blob.bytes;
  }
  return before - std::min(before, rt_.blobs->backed());
}

}  // namespace loretoken
