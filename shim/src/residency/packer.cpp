// Packing: a batch of cold units becomes blobs. For each unit, in this order (design §3.5: nothing is lost):
//
//   claimed (claims.cpp) → unchanged? verify, drop : analyse, place, pack, verify → unmapped
//
// The engine's mutex is dropped meanwhile; whoever needs the unit cancels it. All waits are for work of ours alone.
#include <algorithm>

#include "base/log.h"
#include "driver/driver.h"
#include "guard/integrity.h"
#include "guard/policy.h"
#include "memory/physical.h"
#include "reach/reach.h"
#include "residency/engine.h"

namespace loretoken {

struct Engine::Packing {
  Unit* unit = nullptr;
  uint32_t plan = 0;  // which plan of the workspace
  uint32_t slot = 0;  // result slot
  uint64_t blob_bytes = 0;
  BlobRef blob;  // the new one, or the kept one when unchanged
  bool on_host = false;
  bool kept_wrong = false;  // the kept blob does not decode to the raw bytes
  enum class State { kNew, kUnchanged, kAnalysed, kPlaced, kGood, kGivenUp } state = State::kNew;
  Job job{};
};

namespace {

constexpr uint64_t kRetryTicks = uint64_t{10'000'000'000};  // about 3–5 s of the time stamp counter

// Whether what is packed now is compared with its raw bytes before these go.
bool verify_now() {
  const Verify verify = policy().verify.load(std::memory_order_relaxed);
  return verify == Verify::kAlways || (verify == Verify::kSample && (reach_clock() >> 10) % 16 == 0);
}

bool decodes([[maybe_unused]] const Result& result) {
#ifdef LORETOKEN_MUTATE_VERIFY
  return true;
#else
  return result.done != 0 && result.status == Status::kOk && result.bad_blocks == 0;
#endif
}

}  // namespace

// Of those the policy names, the ones we can decode.
CodecMask Engine::allowed_codecs() const {
  if (rt_.integrity != nullptr && rt_.integrity->distrusts_codecs()) return codec_bit(CodecId::kRaw);
  const uint64_t asked = policy().codecs.load(std::memory_order_relaxed);
  return asked == 0 ? kDecodableCodecs : static_cast<CodecMask>(asked & kDecodableCodecs) | codec_bit(CodecId::kRaw);
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

uint64_t Engine::pack_some(uint64_t target, Spare spare, Lock& lock) {
  const std::vector<Claim> claims = claim_victims(target, spare, lock);
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
    if (packing.kept_wrong) drop_blob(*packing.unit);
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
    packing.job.blob = packing.unit->blob.address;
    packing.job.blob_capacity = packing.unit->blob.bytes;
    jobs.push_back(packing.job);
    asked.push_back(&packing);
  }
  if (jobs.empty() || rt_.codec->unchanged(pack_stream_, jobs) != CUDA_SUCCESS || gpu_wait() != CUDA_SUCCESS) return;
  std::erase_if(asked, [&](Packing* packing) {
    Result& result = work_.result(packing->slot);
    const bool whole = result.done != 0 && result.status == Status::kOk;
    const bool same = whole && result.changed_blocks == 0;
    if (result.done != 0 && result.status == Status::kBadBlob) {
      packing->kept_wrong = true;
      Accounts::count(accounts_->verify_failures);
      mismatch("a kept blob has a damaged header", *packing->unit, result);
    }
    result = Result{};
    return !same;
  });
  check_kept(std::move(asked));
}

// The checksums that agree lie beside the payload and say nothing of it: what is kept may have been damaged since.
void Engine::check_kept(std::vector<Packing*> kept) {
  const bool check = verify_now();
  if (check && !compare(kept)) return;
  for (Packing* packing : kept) {
    Result& result = work_.result(packing->slot);
    if (!check || decodes(result)) {
      packing->state = Packing::State::kUnchanged;
      packing->blob = packing->unit->blob;
      packing->on_host = packing->unit->blob_on_host;
    } else {
      packing->kept_wrong = true;
      Accounts::count(accounts_->verify_failures);
      mismatch("a kept blob no longer decodes to its bytes", *packing->unit, result);
    }
    result = Result{};
  }
}

// Decodes the jobs' blobs and compares them with the raw bytes. False: the GPU did not.
bool Engine::compare(const std::vector<Packing*>& asked) {
  std::vector<Job> jobs;
  for (Packing* packing : asked) jobs.push_back(packing->job);
  return !jobs.empty() && rt_.codec->verify(pack_stream_, jobs) == CUDA_SUCCESS && gpu_wait() == CUDA_SUCCESS;
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
  std::vector<Packing*> packed;
  for (Packing* packing : placed) {
    Result& result = work_.result(packing->slot);
    if (result.done == 0 || result.status != Status::kOk) continue;
    for (uint32_t c = 0; c < kCodecCount; ++c) accounts_.coded(c, result.codec_in[c], result.codec_out[c]);
    result = Result{};
    packed.push_back(packing);
  }
  const bool check = verify_now();
  if (check && !compare(packed)) return;
  for (Packing* packing : packed) {
    const Result& result = work_.result(packing->slot);
    if (!check || decodes(result)) {
      packing->state = Packing::State::kGood;
      continue;
    }
    Accounts::count(accounts_->verify_failures);
    mismatch("a new blob does not decode to its bytes", *packing->unit, result);
    packing->state = Packing::State::kGivenUp;  // it stays raw
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
      if ((unit.clean_drops + unit.dirty_drops != 0 || unit.ever_packed) && !packing.kept_wrong) ++unit.dirty_drops;
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
