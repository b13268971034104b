// Victims for the packer: cold units that no operation can reach any more without cancelling. In this order:
//
//   chosen → claimed → readers gone → scans queued until then have reported → readers gone → its streams have passed
//
// The engine's mutex is dropped meanwhile; a unit that somebody needs is given back at once, for the program's streams
// may wait for the thread that needs it.
#include <unistd.h>

#include <algorithm>

#include "base/clock.h"
#include "memory/physical.h"
#include "reach/reach.h"
#include "residency/engine.h"
#include "residency/policy.h"
#include "residency/section.h"

namespace loretoken {
namespace {

constexpr uint64_t kStreamPatienceNs = 5'000'000;
constexpr uint64_t kScanPatienceNs = 50'000'000;  // doubled with each time in a row that it was too short
constexpr uint32_t kMostScanDoublings = 6;

}  // namespace

// A unit that did not shrink is left alone for a while, unless somebody waits and the host has room for it. One whose
// blob was wrong is left alone in any case.
bool Engine::worth_packing(const Unit& unit, uint64_t now) const {
  if (unit.retry_pack_after <= now) return true;
  return wanted_ != 0 && !unit.undecodable && !host_full_ && rt_.host->used() + unit.bytes <= rt_.host->limit();
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

bool Engine::scan_may_tell_of(const Unit& unit, uint64_t up_to) const {
  return rt_.reach != nullptr && rt_.reach->scan_may_tell_of(unit, up_to);
}

// Raw units that may go, coldest first by the policy, claimed. mutex_ is held.
std::vector<Engine::Claim> Engine::claim_coldest(uint64_t target, Spare spare) {
  const uint64_t now = reach_clock();
  const uint32_t penalty = 1u << static_cast<int>(Pin::kPenalty);
  const uint32_t binding = spare == Spare::kPenalised ? ~0u : ~penalty;
  std::vector<Unit*> candidates;
  for (Unit* unit : units()) {
    if (unit->state.load(std::memory_order_acquire) != UnitState::kRaw || (unit->pins.load() & binding) != 0 ||
        unit->holds.load() != 0 || unit->requested || !worth_packing(*unit, now) ||
        (unit->flags.load() & kFlagIdle) != 0) {
      continue;
    }
    if (unit->stalled) {
      unit->stalled = !streams().passed(uses_of(*unit)) || scan_may_tell_of(*unit, UINT64_MAX);
      waits_for_streams_ |= unit->stalled;
      if (unit->stalled) continue;
    }
    candidates.push_back(unit);
  }
  const uint64_t have = room();
  std::vector<Claim> claims;
  for (Unit* unit : choose_victims(candidates, target > have ? 2 * (target - have) : 0, Workspace::kBatch)) {
    claims.push_back({unit, unit->last_reach.load(std::memory_order_relaxed), {}});
    leave_no_more(*unit);
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

// Until no scan that is announced by now may tell who holds a claimed unit's address; what a scan may still tell of
// when patience ends is given back. That scan may lie behind a stream which waits for the very thread that needs the
// room, so other units are looked for first; after that there is twice the patience, since a long backlog looks alike.
// mutex_ is held at entry and exit, and dropped meanwhile.
void Engine::await_scans(std::vector<Claim>* claims, Lock& lock) {
  const uint64_t last = rt_.reach->scans_announced();
  const auto open = [&](const Claim& claim) { return scan_may_tell_of(*claim.unit, last); };
  const uint64_t until = now_ns() + (kScanPatienceNs << std::min(short_patience_, kMostScanDoublings));
  bool late = false;
  while (!late && drop_cancelled(claims) && std::any_of(claims->begin(), claims->end(), open)) {
    lock.unlock();
    rt_.reach->poll();
    usleep(20);
    late = now_ns() > until;
    lock.lock();
  }
  short_patience_ = late ? short_patience_ + 1 : 0;
  waits_for_streams_ |= late;
  std::erase_if(*claims, [&](const Claim& claim) {
    if (!open(claim)) return false;
    claim.unit->stalled = true;
    unclaim(*claim.unit);
    return true;
  });
}

// Victims in state kClaimed that no operation can reach any more without cancelling, and whose streams have passed what
// used them. mutex_ is held at entry and exit.
std::vector<Engine::Claim> Engine::claim_victims(uint64_t target, Spare spare, Lock& lock) {
  std::vector<Claim> claims = claim_coldest(target, spare);
  if (claims.empty()) return claims;
  const auto go_on = [&] {
    Lock held(mutex_);
    return drop_cancelled(&claims);
  };
  lock.unlock();
  bool waited = wait_for_readers(go_on);
  lock.lock();
  // Whoever saw a unit raw has announced its scan by now; the scan may still tell that somebody holds the unit's
  // address. What was launched without that knowledge is gone from its section before the fence is taken.
  if (waited && rt_.reach != nullptr) {
    await_scans(&claims, lock);
    lock.unlock();
    waited = wait_for_readers(go_on);
    lock.lock();
  }
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

}  // namespace loretoken
