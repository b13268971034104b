// Residency of one device's units: makes them raw before an operation, packs them when memory is short.
//
// Threads: `mutex` guards every guarded field of the device's units and the physical accounts. It is never held across
// a wait for the GPU, for another thread's section, or for a driver call that may block on the GPU.
// State changes:
//   kUnbacked → kRaw            back()
//   kRaw → kClaimed             mover, under mutex, only if holds == 0 and pins == 0; then wait_for_readers()
//   kClaimed → kRaw             mover, when cancelled or when packing did not pay
//   kClaimed → kPacked          mover, after the blob was verified and the handle unmapped
//   kPacked ↔ kHost             mover (spill, fetch)
//   kPacked, kHost → kArriving  make_raw(): mapped, unpack queued
//   kArriving → kRaw            once the unpack's event has passed and its bytes are right, or wrong but let pass by
//   the
//                               policy
#pragma once

#include <cuda.h>

#include <cstdint>

#include "memory/unit.h"
#include "residency/reach_set.h"
#include "streams/streams.h"

namespace loretoken {

class Guarded;

class Residency {
 public:
  virtual ~Residency() = default;

  // Backs an unbacked unit with physical memory; contents undefined afterwards (kRaw). Takes room from idle and cold
  // units and blocks while the mover makes it. CUDA_ERROR_OUT_OF_MEMORY when no room can be made.
  virtual CUresult back(Unit& unit) = 0;

  // Makes `bytes` of physical room for memory that is no unit's (the program's own VMM handles). Blocks while the mover
  // makes it. CUDA_ERROR_OUT_OF_MEMORY when it cannot be made.
  virtual CUresult find_room(uint64_t bytes) = 0;

  // An allocation of `bytes` within the virtual size is about to fail, for no room could be made: counted and told.
  virtual void refused(uint64_t) {}

  // Gives the unit's physical memory back at once (its fence has passed; no operation may reach it).
  virtual void unback(Unit& unit) = 0;

  // Makes every unit of the set raw for `stream`: queues unpacks on our stream and lets `stream` wait for them by
  // event. On success each unit carries one hold, to be given back by release_holds() after the operation was queued.
  // CUDA_ERROR_OUT_OF_MEMORY if the set itself does not fit the physical limit; both figures are logged.
  // CUDA_ERROR_ECC_UNCORRECTABLE if a unit is damaged and the policy is to fail; the others are raw then.
  // `host_wait`: returns when the bytes are there. `stream` nullptr, with host_wait only: no operation follows on a
  // stream; the units are mapped (also those that the strict check had hidden) while they are held.
  virtual CUresult make_raw(const ReachSet& set, StreamSlot* stream, bool host_wait) = 0;
  virtual void release_holds(const ReachSet& set) = 0;

  // Makes raw and keeps raw until unpin. Counted per reason. Pins nest.
  virtual CUresult pin(Unit& unit, Pin reason) = 0;
  virtual void unpin(Unit& unit, Pin reason) = 0;

  // Before the heap forgets a unit or its content (free): drops blobs, cancels a pack under way (waits for it, host
  // side only).
  virtual void discard_content(Unit& unit) = 0;

  // Releases cached physical memory down to `keep` bytes of idle handles (cuMemPoolTrimTo).
  virtual void trim(uint64_t keep) = 0;

  // What the guardrails see of it and may do; nullptr: nothing.
  virtual Guarded* guarded() { return nullptr; }

  // Once DeviceRuntime::closed is set: background work that uses the context is over at return, and starts again only
  // when `closed` was taken back. Waits for the GPU.
  virtual void rest() {}

  // The process is ending: background work is over at return and never starts again; what waits for it gives up.
  virtual void stop() {}
};

// LORETOKEN_CHECK=strict: every operation goes the slow way and everything outside its reach set is unmapped.
bool strict_check();

}  // namespace loretoken
