// Unpacking: packed or host bytes come back to their addresses on unpack_stream_; streams wait by event.
#include <chrono>

#include "base/log.h"
#include "base/settings.h"
#include "driver/driver.h"
#include "guard/arbiter.h"
#include "guard/integrity.h"
#include "memory/physical.h"
#include "residency/engine.h"

namespace loretoken {

Engine::Made Engine::start_unpack(Unit& unit, std::vector<Unit*>* batch) {
  const uint32_t slot = work_.take();
  if (slot == Workspace::kNone) return Made::kNoRoom;
  const Made made = map_fresh(unit);
  if (made != Made::kYes) {
    work_.give(slot);
    return made;
  }
  unit.result_slot = slot;
  batch->push_back(&unit);
  return Made::kYes;
}

std::shared_ptr<Engine::OwnedEvent> Engine::take_event() {
  if (events_.empty()) return std::make_shared<OwnedEvent>();
  std::shared_ptr<OwnedEvent> event = std::move(events_.back());
  events_.pop_back();
  return event;
}

// Another thread may still wait for it; then it is not reused.
void Engine::give_event(std::shared_ptr<OwnedEvent> event) {
  if (event.use_count() == 1) events_.push_back(std::move(event));
}

CUresult Engine::flush(std::vector<Unit*>* batch, bool awaited) {
  if (batch->empty()) return CUDA_SUCCESS;
  std::vector<Job> jobs;
  jobs.reserve(batch->size());
  for (Unit* unit : *batch) {
    jobs.push_back({.raw = unit->base,
                    .raw_bytes = content_of(*unit),
                    .blob = unit->blob.address,
                    .blob_capacity = unit->blob.bytes,
                    .plan = work_.scratch(unit->result_slot),
                    .result = work_.result_address(unit->result_slot)});
  }
  ContextScope scope(rt_.context);
  RelaxedCapture relaxed;
  auto begun = take_event();
  auto event = take_event();
  const bool ready = begun->event != nullptr && event->event != nullptr;
  CUresult result = ready ? driver().cuEventRecord(begun->event, unpack_stream_) : CUDA_ERROR_UNKNOWN;
  if (result == CUDA_SUCCESS) result = rt_.codec->unpack(unpack_stream_, jobs);
  if (result == CUDA_SUCCESS) result = driver().cuEventRecord(event->event, unpack_stream_);
  if (result != CUDA_SUCCESS) {
    log_error("queueing an unpack failed with driver error %d", result);
    put_back(batch);
    return result;
  }
  for (Unit* unit : *batch) {
    unit->ready = event->event;
    accounts_.packed(unit->blob_on_host, unit->blob.bytes, content_of(*unit), -1);
    Accounts::count(unit->blob_on_host ? accounts_->fetches : accounts_->unpacks);
    accounts_.raw_changed(static_cast<int64_t>(unit->bytes));
    unit->state.store(UnitState::kArriving, std::memory_order_seq_cst);
  }
  arrivals_.push_back({std::move(begun), std::move(event), std::move(*batch), awaited});
  unpacking_ = true;
  batch->clear();
  return CUDA_SUCCESS;
}

// What could not be queued as a whole stays packed; what was queued of it still writes.
void Engine::put_back(std::vector<Unit*>* batch) {
  driver().cuStreamSynchronize(unpack_stream_);
  for (Unit* unit : *batch) {
    work_.give(unit->result_slot);
    release_handle(*unit);
  }
  batch->clear();
}

void Engine::settle(bool wait_for_first) {
  RelaxedCapture relaxed;
  while (!arrivals_.empty()) {
    Arrival& arrival = arrivals_.front();
    CUresult result = driver().cuEventQuery(arrival.event->event);
    if (result != CUDA_SUCCESS && result != CUDA_ERROR_NOT_READY) {
      result = driver().cuEventQuery(arrival.event->event);  // an error that stays is the context's
    }
    if (result == CUDA_ERROR_NOT_READY && !wait_for_first) return;
    if (result == CUDA_ERROR_NOT_READY) {
      const std::shared_ptr<OwnedEvent> event = arrival.event;  // another thread may settle it meanwhile
      mutex_.unlock();
      driver().cuEventSynchronize(event->event);
      mutex_.lock();
      wait_for_first = false;
      continue;
    }
    if (arrival.awaited && result == CUDA_SUCCESS) count_stall(arrival);
    for (Unit* unit : arrival.units) settled(*unit, result != CUDA_SUCCESS);
    Arrival done = std::move(arrival);
    arrivals_.pop_front();
    unpacking_ = !arrivals_.empty();
    give_event(std::move(done.begun));
    give_event(std::move(done.event));
    wait_for_first = false;
    changed_.notify_all();
  }
}

void Engine::settled(Unit& unit, bool context_lost) {
  const Result& result = work_.result(unit.result_slot);
  // A lost context fails every call by itself.
  const bool wrong = !context_lost && (result.done == 0 || result.status != Status::kOk);
  if (wrong) {
    Accounts::count(accounts_->checksum_failures);
    mismatch(result.done == 0                    ? "an unpack did not run"
             : result.status == Status::kBadBlob ? "a packed copy has a damaged header"
                                                 : "unpacked bytes fail their checksum",
             unit, result);
    unit.damaged = fails_on_damage();
    if (unit.damaged) damage_untold_ = true;
  }
  work_.give(unit.result_slot);
  unit.ready = nullptr;
  // The blob stays if evictions used to find the content unchanged: the next one then costs a hash and a comparison
  // instead of a pack.
  const bool off = rt_.arbiter != nullptr && rt_.arbiter->mode() == Mode::kOff;
  if (wrong || off || unit.dirty_drops > unit.clean_drops) drop_blob(unit);
  if (!unit.damaged) unit.state.store(UnitState::kRaw, std::memory_order_seq_cst);
}

void Engine::mismatch(const char* what, const Unit& unit, const Result& result) {
  const uint32_t blocks = block_count_of(content_of(unit));
  const bool all = result.done == 0 || result.status == Status::kBadBlob;
  const uint32_t bad = all ? blocks : result.bad_blocks;
  if (rt_.integrity != nullptr) {
    rt_.integrity->mismatch(what, unit.index, bad, blocks);
  } else {
    log_error("integrity on device %d: %s: unit %u, %u of %u blocks", rt_.ordinal, what, unit.index, bad, blocks);
  }
}

bool Engine::fails_on_damage() const {
  return rt_.integrity != nullptr ? rt_.integrity->fails() : settings().integrity == Integrity::kFail;
}

// Whether operations that reach the unit must fail; what a changed policy lets pass is raw from then on.
bool Engine::is_lost(Unit& unit) {
  if (!unit.damaged || fails_on_damage()) return unit.damaged;
  unit.damaged = false;
  unit.state.store(UnitState::kRaw, std::memory_order_seq_cst);
  return false;
}

CUresult Engine::take_damage() {
  if (unpacking_.load(std::memory_order_acquire)) {
    ContextScope scope(rt_.context);  // of whatever context the calling thread is
    Lock lock(mutex_);
    settle();
  }
  if (!damage_untold_.load(std::memory_order_relaxed) || !damage_untold_.exchange(false)) return CUDA_SUCCESS;
  return fails_on_damage() ? CUDA_ERROR_ECC_UNCORRECTABLE : CUDA_SUCCESS;
}

void Engine::drop_blob(Unit& unit) {
  if (unit.blob.bytes == 0) return;
  if (unit.blob_on_host) {
    rt_.host->release(reinterpret_cast<void*>(unit.blob.address));
    host_full_ = false;
  } else {
    rt_.blobs->release(unit.blob.address);
  }
  unit.blob = {};
  unit.blob_on_host = false;
}

bool Engine::wait_for_room(uint64_t bytes, Lock& lock) {
  const uint64_t before = exhausted_;
  wanted_ = bytes;
  woken_ = true;
  mover_wake_.notify_one();
  changed_.wait(lock, [&] { return exhausted_ != before || room() >= bytes || stop_; });
  const bool ok = room() >= bytes;
  wanted_ = 0;
  return ok;
}

// One unit of a set towards kRaw or kArriving. The caller holds turn_ if this may have to wait for room.
bool Engine::make_one_raw(Unit& unit, std::vector<Unit*>* batch, Lock& lock, CUresult* error) {
  for (int refused = 0;;) {
    Made made = Made::kYes;
    switch (unit.state.load(std::memory_order_acquire)) {
      case UnitState::kRaw:
      case UnitState::kArriving:
        return true;
      case UnitState::kClaimed:
        unit.cancel_pack = true;
        changed_.wait(lock, [&] { return unit.state.load(std::memory_order_acquire) != UnitState::kClaimed || stop_; });
        continue;
      case UnitState::kUnbacked:
        made = map_fresh(unit);
        if (made == Made::kYes) {
          unit.state.store(UnitState::kRaw, std::memory_order_seq_cst);
          accounts_.raw_changed(static_cast<int64_t>(unit.bytes));
          return true;
        }
        break;
      case UnitState::kPacked:
      case UnitState::kHost:
        for (Unit* queued : *batch) {
          if (queued == &unit) return true;
        }
        made = start_unpack(unit, batch);
        if (made == Made::kYes) return true;
        break;
    }
    if (made == Made::kFailed) {
      *error = CUDA_ERROR_UNKNOWN;
      return false;
    }
    if (const CUresult result = flush(batch); result != CUDA_SUCCESS) {
      *error = result;
      return false;
    }
    if (!arrivals_.empty()) settle(true);  // frees result slots and kept blobs before memory is fought for
    // Room by our books that the driver does not grant: others hold the card. Ask the mover a few times, then say so.
    const bool denied = room() >= unit.bytes && ++refused > 3;
    if (denied || (room() < unit.bytes && !wait_for_room(unit.bytes, lock))) {
      const int failed = context_error_;
      *error = failed != CUDA_SUCCESS ? static_cast<CUresult>(failed) : CUDA_ERROR_OUT_OF_MEMORY;
      return false;
    }
  }
}

}  // namespace loretoken
