// Packing: a batch of cold units becomes blobs. For each unit, in this order (design §3.5: nothing is lost):
//
//   chosen → claimed → readers gone → scans queued until then have reported → readers gone → its streams have passed
//   → unchanged? drop : analyse, place, pack, verify → unmapped
//
// The engine's mutex is dropped meanwhile; whoever needs the unit cancels it. Up to the point where its streams have
// passed a cancelled unit is given back at once: the program's streams may wait for the thread that needs it. What
// follows waits for work of ours alone.
#include <unistd.h>

#include <algorithm>

#include "base/clock.h"
#include "base/log.h"
#include "base/settings.h"
#include "driver/driver.h"
#include "memory/physical.h"
#include "reach/reach.h"
#include "residency/engine.h"
#include "residency/policy.h"
#include "residency/section.h"

namespace loretoken {

struct Engine::Packing {
  Unit* unit = nullptr;
  uint32_t plan = 0;  // which plan of the workspace
  uint32_t slot = 0;  // result slot
  uint64_t blob_bytes = 0;
  BlobRef blob;  // the new one, or the kept one when unchanged
  bool on_host = false;
  enum class State { kNew, kUnchanged, kAnalysed, kPlaced, kGood, kGivenUp } state = State::kNew;
  Job job{};
};

namespace {

constexpr uint64_t kStreamPatienceNs = 5'000'000;
constexpr uint64_t kRetryTicks = uint64_t{10'000'000'000};  // about 3–5 s of the time stamp counter

CodecMask allowed_codecs() {
  return kDecodableCodecs;
}

}  // namespace

// A unit that did not shrink is left alone for a while, unless somebody waits and the host has room for it. One whose
// blob was wrong is left alone in any case.
bool Engine::worth_packing(const Unit& unit, uint64_t now) const {
  if (unit.retry_pack_after <= now) return true;
  return wanted_ != 0 && !unit.undecodable && !host_full_ && rt_.host->used() + unit.bytes <= rt_.host->limit();
}

CUresult Engine::gpu_wait() {
  CUresult result = driver().cuEventRecord(pack_done_, pack_stream_);
  if (result == CUDA_SUCCESS) result = driver().cuEventSynchronize(pack_done_);
  if (result != CUDA_SUCCESS) context_failed(result);
  return result;
}

// After such an error every call of the context fails: there is nothing left to move, and whoever waits is told.
void Engine::context_failed(CUresult error) {
  if (error == CUDA_ERROR_OUT_OF_MEMORY || closing()) return;
  int expected = 0;
  if (context_error_.compare_exchange_strong(expected, error)) {
    log_error("packing stops on device %d: its context reports driver error %d", rt_.ordinal, error);
  }
}

void Engine::unclaim(Unit& unit) {
  unit.cancel_pack = false;
  unit.state.store(UnitState::kRaw, std::memory_order_seq_cst);
  changed_.notify_all();
}

// Gives back what is needed after all. False when nothing is left to wait for. mutex_ is held.
bool Engine::drop_cancelled(std::vector<Claim>* claims) {
  std::erase_if(*claims, [&](const Claim& claim) {
    if (!claim.unit->cancel_pack) return false;
    unclaim(*claim.unit);
    return true;
  });
  return !claims->empty() && !closing();
}

Fence Engine::uses_of(const Unit& unit) const {
  // Who holds its address may have used it on any stream.
  const bool target = (unit.flags.load(std::memory_order_acquire) & kFlagIsTarget) != 0;
  return streams().mark(unit.device, target ? ~uint64_t{0} : unit.stream_mask.load(std::memory_order_acquire));
}

// Raw units that may go, coldest first by the policy, claimed. mutex_ is held.
std::vector<Engine::Claim> Engine::claim_coldest(uint64_t target) {
  const uint64_t now = reach_clock();
  std::vector<Unit*> candidates;
  for (Unit* unit : units()) {
    if (unit->state.load(std::memory_order_acquire) != UnitState::kRaw || unit->pins.load() != 0 ||
        unit->holds.load() != 0 || unit->requested || !worth_packing(*unit, now) ||
        (unit->flags.load() & kFlagIdle) != 0) {
      continue;
    }
    if (unit->stalled) {
      unit->stalled = !streams().passed(uses_of(*unit));
      waits_for_streams_ |= unit->stalled;
      if (unit->stalled) continue;
    }
    candidates.push_back(unit);
  }
  const uint64_t have = room();
  std::vector<Claim> claims;
  for (Unit* unit : choose_victims(candidates, target > have ? 2 * (target - have) : 0, Workspace::kBatch)) {
    claims.push_back({unit, unit->last_reach.load(std::memory_order_relaxed), {}});
    unit->cancel_pack = false;
    unit->state.store(UnitState::kClaimed, std::memory_order_seq_cst);
  }
  return claims;
}

// Until the streams that used the claimed units have passed, or one takes so long that other units are better; what is
// not passed then is given back. mutex_ is held at entry and exit, and dropped meanwhile.
void Engine::await_uses(std::vector<Claim>* claims, Lock& lock) {
#ifdef LORETOKEN_MUTATE_FENCE
  return;
#endif
  for (Claim& claim : *claims) claim.uses = uses_of(*claim.unit);
  const auto passed = [](const Claim& claim) { return streams().passed(claim.uses); };
  const uint64_t until = now_ns() + kStreamPatienceNs;
  for (bool more = !claims->empty(); more; more = drop_cancelled(claims)) {
    lock.unlock();
    bool all = true;
    for (const Claim& claim : *claims) all = passed(claim) && all;
    const bool late = now_ns() > until;
    if (!all && late) {
      // A thread's own stream that was never fenced tells nothing by itself.
      for (const Claim& claim : *claims) {
        if (streams().covered(claim.uses)) continue;
        if (const CUresult failed = streams().synchronize(claim.uses); failed != CUDA_SUCCESS) context_failed(failed);
      }
    } else if (!all) {
      usleep(20);
    }
    lock.lock();
    if (all || late) break;
  }
  std::erase_if(*claims, [&](const Claim& claim) {
    claim.unit->stalled = !passed(claim);
    waits_for_streams_ |= claim.unit->stalled;
    if (claim.unit->stalled) unclaim(*claim.unit);
    return claim.unit->stalled;
  });
  drop_cancelled(claims);
}

// Victims in state kClaimed that no operation can reach any more without cancelling, and whose streams have passed what
// used them. mutex_ is held at entry and exit.
std::vector<Engine::Claim> Engine::claim_victims(uint64_t target, Lock& lock) {
  std::vector<Claim> claims = claim_coldest(target);
  if (claims.empty()) return claims;
  const auto go_on = [&] {
    Lock held(mutex_);
    return drop_cancelled(&claims);
  };
  lock.unlock();
  bool waited = wait_for_readers(go_on);
  // Whoever saw a unit raw has announced its scan by now; the scan may still tell that somebody holds the unit's
  // address. What was launched without that knowledge is gone from its section before the fence is taken.
  if (waited && rt_.reach != nullptr) {
    const uint64_t scans = rt_.reach->scans_queued();
    if (rt_.reach->scans_reported() < scans) {
      for (rt_.reach->poll(); waited && rt_.reach->scans_reported() < scans; rt_.reach->poll()) {
        usleep(20);
        waited = go_on();
      }
      waited = waited && wait_for_readers(go_on);
    }
  }
  lock.lock();
  std::erase_if(claims, [&](const Claim& claim) {
    const Unit& unit = *claim.unit;
    // Reached since it was chosen: it is no longer cold.
    const bool cold = unit.holds.load(std::memory_order_acquire) == 0 && unit.pins.load() == 0 &&
                      (unit.flags.load() & kFlagIdle) == 0 &&
                      unit.last_reach.load(std::memory_order_acquire) == claim.last_reach;
    if (waited && cold && !unit.cancel_pack) return false;
    unclaim(*claim.unit);
    return true;
  });
  await_uses(&claims, lock);
  return claims;
}

uint64_t Engine::pack_some(uint64_t target, Lock& lock) {
  const std::vector<Claim> claims = claim_victims(target, lock);
  if (claims.empty()) return 0;
  std::vector<Packing> batch;
  for (const Claim& claim : claims) {
    Unit* unit = claim.unit;
    if (unit->hidden) map(*unit);
    Packing packing;
    packing.unit = unit;
    packing.plan = static_cast<uint32_t>(batch.size());
    packing.slot = work_.take();
    if (packing.slot == Workspace::kNone) {
      unclaim(*unit);
      continue;
    }
    packing.job = {.raw = unit->base,
                   .raw_bytes = content_of(*unit),
                   .blob = 0,
                   .blob_capacity = 0,
                   .plan = work_.plan(packing.plan),
                   .result = work_.result_address(packing.slot)};
    batch.push_back(packing);
  }
  lock.unlock();
  find_unchanged(&batch);
  analyse(&batch);
  lock.lock();
  for (Packing& packing : batch) {
    if (packing.state == Packing::State::kAnalysed && !packing.unit->cancel_pack && place_blob(&packing, lock)) {
      packing.state = Packing::State::kPlaced;
    }
  }
  lock.unlock();
  pack_and_verify(&batch);
  lock.lock();
  return commit(&batch, lock);
}

void Engine::analyse(std::vector<Packing>* batch) {
  std::vector<Job> jobs;
  for (Packing& packing : *batch) {
    if (packing.state == Packing::State::kNew) jobs.push_back(packing.job);
  }
  if (jobs.empty() || rt_.codec->analyse(pack_stream_, jobs, allowed_codecs()) != CUDA_SUCCESS ||
      gpu_wait() != CUDA_SUCCESS) {
    return;
  }
  for (Packing& packing : *batch) {
    if (packing.state != Packing::State::kNew) continue;
    const Result& result = work_.result(packing.slot);
    if (result.done == 0 || result.status != Status::kOk) continue;
    packing.blob_bytes = result.blob_bytes;
    packing.state = Packing::State::kAnalysed;
  }
}

// Units that still have the blob of their last packing: if every checksum agrees, it is their content.
void Engine::find_unchanged(std::vector<Packing>* batch) {
  std::vector<Job> jobs;
  std::vector<Packing*> asked;
  for (Packing& packing : *batch) {
    if (packing.unit->blob.bytes == 0) continue;
    Job job = packing.job;
    job.blob = packing.unit->blob.address;
    job.blob_capacity = packing.unit->blob.bytes;
    jobs.push_back(job);
    asked.push_back(&packing);
  }
  if (jobs.empty() || rt_.codec->unchanged(pack_stream_, jobs) != CUDA_SUCCESS || gpu_wait() != CUDA_SUCCESS) return;
  for (Packing* packing : asked) {
    Result& result = work_.result(packing->slot);
    if (result.done != 0 && result.status == Status::kOk && result.changed_blocks == 0) {
      packing->state = Packing::State::kUnchanged;
      packing->blob = packing->unit->blob;
      packing->on_host = packing->unit->blob_on_host;
    }
    result = Result{};
  }
}

// Room for the new blob: VRAM if packing pays there, else the host. mutex_ is held.
bool Engine::place_blob(Packing* packing, Lock& lock) {
  drop_blob(*packing->unit);  // what was kept is out of date
  const uint64_t bytes = packing->blob_bytes;
  // Packing pays when at least 1/16 of the handle is won.
  const bool shrinks = bytes <= packing->unit->bytes - packing->unit->bytes / 16;
  if (shrinks) {
    packing->blob.address = rt_.blobs->allocate(bytes);
    packing->on_host = false;
  } else {
    packing->unit->retry_pack_after = reach_clock() + kRetryTicks;
  }
  if (packing->blob.address == 0 && wanted_ != 0) {
    lock.unlock();  // pinning may take tens of milliseconds
    packing->blob.address = reinterpret_cast<uint64_t>(rt_.host->allocate(bytes));
    lock.lock();
    packing->on_host = packing->blob.address != 0;
    if (packing->blob.address == 0) host_full_ = true;
  }
  if (packing->blob.address == 0) return false;
  packing->blob.bytes = bytes;
  packing->job.blob = packing->blob.address;
  packing->job.blob_capacity = bytes;
  return true;
}

void Engine::pack_and_verify(std::vector<Packing>* batch) {
  std::vector<Job> jobs;
  std::vector<Packing*> placed;
  for (Packing& packing : *batch) {
    if (packing.state != Packing::State::kPlaced) continue;
    work_.result(packing.slot) = Result{};
    jobs.push_back(packing.job);
    placed.push_back(&packing);
  }
  if (jobs.empty()) return;
  if (rt_.codec->pack(pack_stream_, jobs) != CUDA_SUCCESS || gpu_wait() != CUDA_SUCCESS) return;
  std::vector<Job> to_verify;
  std::vector<Packing*> packed;
  for (Packing* packing : placed) {
    Result& result = work_.result(packing->slot);
    if (result.done == 0 || result.status != Status::kOk) continue;
    for (uint32_t c = 0; c < kCodecCount; ++c) accounts_.coded(c, result.codec_in[c], result.codec_out[c]);
    result = Result{};
    packed.push_back(packing);
    to_verify.push_back(packing->job);
  }
  const Verify verify = settings().verify;
  const bool check = verify == Verify::kAlways || (verify == Verify::kSample && (reach_clock() >> 10) % 16 == 0);
  if (!check) {
    for (Packing* packing : packed) packing->state = Packing::State::kGood;
    return;
  }
  if (to_verify.empty() || rt_.codec->verify(pack_stream_, to_verify) != CUDA_SUCCESS || gpu_wait() != CUDA_SUCCESS) {
    return;
  }
  for (Packing* packing : packed) {
    const Result& result = work_.result(packing->slot);
#ifndef LORETOKEN_MUTATE_VERIFY
    const bool good = result.done != 0 && result.status == Status::kOk && result.bad_blocks == 0;
#else
    const bool good = true;
    (void)result;
#endif
    if (good) {
      packing->state = Packing::State::kGood;
      continue;
    }
    Accounts::count(accounts_->verify_failures);
    log_error("integrity: the blob of unit %u does not decode to its bytes (%u blocks differ); it stays raw",
              packing->unit->index, result.bad_blocks);
    packing->state = Packing::State::kGivenUp;
  }
}

uint64_t Engine::commit(std::vector<Packing>* batch, Lock&) {
  uint64_t won = 0;
  for (Packing& packing : *batch) {
    Unit& unit = *packing.unit;
    work_.give(packing.slot);
    const bool good = packing.state == Packing::State::kGood || packing.state == Packing::State::kUnchanged;
    if (!good || unit.cancel_pack) {
      if (packing.state != Packing::State::kUnchanged && packing.blob.address != 0) {
        unit.blob = packing.blob;
        unit.blob_on_host = packing.on_host;
        drop_blob(unit);
      }
      unit.undecodable = packing.state == Packing::State::kGivenUp;
      if (unit.undecodable) unit.retry_pack_after = reach_clock() + kRetryTicks;
      unclaim(unit);
      continue;
    }
    if (packing.state == Packing::State::kUnchanged) {
      ++unit.clean_drops;
      Accounts::count(accounts_->drops);
    } else {
      if (unit.clean_drops + unit.dirty_drops != 0 || unit.ever_packed) ++unit.dirty_drops;
      unit.ever_packed = true;
      unit.blob = packing.blob;
      unit.blob_on_host = packing.on_host;
      Accounts::count(accounts_->packs);
    }
    release_handle(unit);
    accounts_.raw_changed(-static_cast<int64_t>(unit.bytes));
    accounts_.packed(unit.blob_on_host, unit.blob.bytes, content_of(unit), +1);
    unit.state.store(unit.blob_on_host ? UnitState::kHost : UnitState::kPacked, std::memory_order_seq_cst);
    won += unit.bytes > unit.blob.bytes || unit.blob_on_host ? unit.bytes : 0;
  }
  changed_.notify_all();
  return won;
}

}  // namespace loretoken
