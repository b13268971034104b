// The one implementation of Residency: on-demand unpack by the launching threads, packing and spilling by a mover
// thread.
//
// Locks, in order: turn_ → mutex_ → (Streams' and Reach's own). The mover never takes turn_. No lock is held across a
// wait for the GPU. A thread that needs room holds turn_, so that two threads never each hold half of what the other
// needs.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "residency/accounts.h"
#include "residency/guarded.h"
#include "residency/residency.h"
#include "residency/workspace.h"
#include "runtime/runtime.h"

namespace loretoken {

class Engine final : public Residency, public Guarded {
 public:
  explicit Engine(DeviceRuntime& runtime);
  ~Engine() override;

  CUresult back(Unit& unit) override;
  CUresult find_room(uint64_t bytes) override;
  void refused(uint64_t bytes) override;
  void unback(Unit& unit) override;
  CUresult make_raw(const ReachSet& set, StreamSlot* stream, bool host_wait) override;
  void release_holds(const ReachSet& set) override;
  CUresult pin(Unit& unit, Pin reason) override;
  void unpin(Unit& unit, Pin reason) override;
  void discard_content(Unit& unit) override;
  void trim(uint64_t keep) override;
  void rest() override;
  void stop() override;
  Guarded* guarded() override { return this; }

  // guarding.cpp
  uint64_t waited_ns() const override;
  void leave_raw() override;
  void leave_nothing_raw() override;
  void bring_back() override;

  // After an operation that waited for the GPU: CUDA_ERROR_ECC_UNCORRECTABLE when an unpack before it found damage that
  // no call has returned yet (the operation that reached it was queued before that was known), and the policy is to
  // fail. Cost: two loads.
  CUresult take_damage();
  // Strict check: unmaps every raw unit outside `set`, maps those inside. The device is idle at the call.
  CUresult isolate(const ReachSet& set);
  // False when streams or scratch could not be had.
  bool usable() const;
  // Every live unit of the device, for operations whose reach is unknown.
  void add_everything(ReachSet* set) const;

 private:
  using Lock = std::unique_lock<std::mutex>;
  struct OwnedEvent {
    OwnedEvent();
    ~OwnedEvent();
    CUevent event = nullptr;
  };
  struct Arrival {
    std::shared_ptr<OwnedEvent> begun;  // what was queued before is done
    std::shared_ptr<OwnedEvent> event;  // the bytes are there
    std::vector<Unit*> units;
    bool awaited;  // an operation of the program waits for it
  };
  enum class Made { kYes, kNoRoom, kFailed };

  // mapping.cpp — mutex_ held; no GPU wait inside
  Made map_fresh(Unit& unit);       // acquires a handle and maps it
  CUresult map(Unit& unit);         // maps unit.handle, grants access
  void unmap(Unit& unit);           // keeps the handle
  void release_handle(Unit& unit);  // unmap + give back

  // arrivals.cpp
  Made start_unpack(Unit& unit, std::vector<Unit*>* batch);  // mutex_ held: maps, adds to the batch
  // mutex_ held: queues the batch's unpacks. `awaited`: for an operation of the program.
  CUresult flush(std::vector<Unit*>* batch, bool awaited = true);
  void put_back(std::vector<Unit*>* batch);  // mutex_ held: a batch that could not be queued; waits for unpack_stream_
  void settle(bool wait_for_first = false);  // mutex_ held: kArriving → kRaw for what has arrived
  void settled(Unit& unit, bool context_lost);
  std::shared_ptr<OwnedEvent> take_event();
  void give_event(std::shared_ptr<OwnedEvent> event);
  void mismatch(const char* what, const Unit& unit, const Result& result);
  bool fails_on_damage() const;
  bool is_lost(Unit& unit);    // mutex_ held
  void drop_blob(Unit& unit);  // mutex_ held
  CUresult bring(Unit& unit);
  bool make_one_raw(Unit& unit, std::vector<Unit*>* batch, Lock& lock, CUresult* error);
  bool wait_for_room(uint64_t bytes, Lock& lock);

  // mover.cpp
  void mover_main();
  bool closing() const { return stop_.load(std::memory_order_relaxed) || rt_.closed.load(std::memory_order_acquire); }
  void wake_mover();
  uint64_t room() const;                                // bytes that acquire() could hand out; mutex_ held
  uint64_t make_room(uint64_t target, Lock& lock);      // returns bytes won in this round
  uint64_t reclaim_idle(uint64_t target);               // mutex_ held
  uint64_t drop_kept_blobs(uint64_t target, bool all);  // mutex_ held
  uint64_t spill(uint64_t target, Lock& lock);
  uint64_t low_water() const;
  // Packing in spite of the mode and of pins for penalty: what was promised to the program goes before both.
  uint64_t force_packs(uint64_t target, Lock& lock);
  void rest_after_packing(std::chrono::nanoseconds took, Lock& lock);
  bool anything_to_win(Lock& lock) const;
  std::vector<Unit*> units() const;

  // claims.cpp — the mover's; unlocks while it waits
  struct Claim {
    Unit* unit;
    uint64_t last_reach;  // when it was chosen
    Fence uses;           // operations that may have used it
  };
  enum class Spare : bool { kNothing, kPenalised };  // what stays raw for its penalty is no victim
  std::vector<Claim> claim_victims(uint64_t target, Spare spare, Lock& lock);
  std::vector<Claim> claim_coldest(uint64_t target, Spare spare);
  bool scan_may_tell_of(const Unit& unit, uint64_t up_to) const;
  void await_scans(std::vector<Claim>* claims, Lock& lock);
  void await_uses(std::vector<Claim>* claims, Lock& lock);
  bool drop_cancelled(std::vector<Claim>* claims);
  Fence uses_of(const Unit& unit) const;
  bool worth_packing(const Unit& unit, uint64_t now) const;
  void unclaim(Unit& unit);

  // packer.cpp — the mover's; unlocks while the GPU works
  struct Packing;
  uint64_t pack_some(uint64_t target, Spare spare, Lock& lock);
  void find_unchanged(std::vector<Packing>* batch);
  bool compare(const std::vector<Packing*>& asked);
  void check_kept(std::vector<Packing*> kept);
  CodecMask allowed_codecs() const;
  void analyse(std::vector<Packing>* batch);
  bool place_blob(Packing* packing, Lock& lock);
  void pack_and_verify(std::vector<Packing>* batch);
  uint64_t commit(std::vector<Packing>* batch, Lock& lock);
  CUresult gpu_wait();
  void context_failed(CUresult error);
  // An operation or an allocation could not get what was promised: counted, and an event, one a second at most.
  void promise_broken(uint64_t bytes, const char* what);  // mutex_ held

  // guarding.cpp — mutex_ held
  void count_stall(const Arrival& arrival);
  void count_host_wait(const ReachSet& set, uint64_t ns);
  void leave_raw(Unit& unit);
  void leave_no_more(Unit& unit);

  DeviceRuntime& rt_;
  Accounts accounts_;
  Workspace work_;
  CUstream unpack_stream_ = nullptr;
  CUstream pack_stream_ = nullptr;
  CUevent pack_done_ = nullptr;

  std::mutex turn_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;  // a claim ended, room appeared, or the mover gave up
  std::condition_variable mover_wake_;
  std::deque<Arrival> arrivals_;     // in queueing order on unpack_stream_
  uint64_t wanted_ = 0;              // bytes the thread that holds turn_ waits for
  uint64_t exhausted_ = 0;           // counts rounds in which nothing could be won
  std::chrono::nanoseconds dry_{0};  // spent in rounds without a win while a thread waits
  uint32_t dry_rounds_ = 0;          // of these, since patience was at its end
  uint32_t short_patience_ = 0;      // times in a row that scans took longer than await_scans() gave them
  bool woken_ = false;
  bool making_room_ = false;                         // the mover is in make_room(), which unlocks
  bool waits_for_streams_ = false;                   // this round could have won more if a stream were further
  uint64_t penalised_ = 0;                           // bytes that stay raw for their penalty
  uint64_t told_of_memory_ns_ = 0;                   // when the last event of want of memory was written
  std::vector<std::shared_ptr<OwnedEvent>> events_;  // spare ones
  bool host_full_ = false;                           // the host arena refused; cleared when something leaves it
  std::atomic<bool> unpacking_{false};               // arrivals_ is not empty
  std::atomic<bool> damage_untold_{false};           // found, and not yet returned by any call
  std::atomic<int> context_error_{CUDA_SUCCESS};     // of a wait of the mover's; the context is lost
  std::atomic<bool> stop_{false};
  std::thread mover_;
};

}  // namespace loretoken
