// Allocations of one device: addresses, units, sub-allocation, reuse.
//
//   > unit_max            several kSingle units in a row, one guard page at the end
//   >= shared threshold   one kSingle unit of its size class       (threshold: min(16 MiB, unit_max))
//   > 64 KiB              sub-allocated in a kShared unit (of unit_max or 32 MiB) beside what was allocated around it
//   <= 64 KiB             a cell of a kSlab unit (pin kSmall)
// In strict check every allocation has units of its own.
// Freed ranges stay mapped for the next allocation of their class; a range freed on a stream is reused on that stream
// at once, elsewhere once its fence has passed. Alignment: 512 B at least; 2 MiB for kSingle.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "memory/unit.h"
#include "streams/streams.h"

namespace loretoken {

struct AllocationInfo {
  uint64_t base = 0;
  uint64_t bytes = 0;  // as asked for
  uint64_t id = 0;     // unique in the process: BUFFER_ID
  int device = 0;
  CUcontext context = nullptr;
  CUmemoryPool pool = nullptr;  // nullptr: not stream-ordered
  Unit* first_unit = nullptr;
  uint32_t unit_count = 0;
};

class Heap {
 public:
  virtual ~Heap() = default;
  // slot nullptr: synchronous allocation, usable on any stream at return.
  // CUDA_ERROR_OUT_OF_MEMORY: over the virtual size, or no physical room can be made. CUDA_ERROR_INVALID_VALUE: bytes
  // == 0.
  virtual CUresult allocate(uint64_t bytes, StreamSlot* slot, CUmemoryPool pool, CUdeviceptr* out) = 0;
  // slot nullptr: synchronous free (no device-wide wait: the range is fenced against every stream that used it).
  // CUDA_ERROR_INVALID_VALUE if `address` is not the base of a live allocation.
  virtual CUresult free(CUdeviceptr address, StreamSlot* slot) = 0;
  // The live allocation that contains the address (or ends exactly there, if none contains it). Takes a lock: not for
  // the raw hot path.
  virtual std::optional<AllocationInfo> find(uint64_t address) const = 0;
  // The live allocations that begin in [address, address + bytes), in order. Empty, too, when they are more than
  // `most`.
  virtual std::vector<AllocationInfo> within(uint64_t address, uint64_t bytes, size_t most) const = 0;
  // All units of the allocation(s) an operation on [address, address + bytes) touches.
  virtual void units_of(uint64_t address, uint64_t bytes, std::vector<Unit*>* out) const = 0;
  virtual uint64_t live_bytes() const = 0;  // logical bytes of live allocations
  struct PoolUse {
    uint64_t live = 0;           // logical bytes of live allocations
    uint64_t peak = 0;           // since it was last reset
    uint64_t reserved_peak = 0;  // the same, reset apart
  };
  virtual PoolUse pool_use(CUmemoryPool pool) const = 0;
  virtual void reset_peak(CUmemoryPool pool, bool reserved) = 0;
};

}  // namespace loretoken
