// A unit is what moves: one extent of addresses in the reservation, backed by at most one physical handle.
//
//   kSingle  one allocation, or one piece of an allocation that is larger than the largest size class
//   kShared  several medium allocations that were made together and move together
//   kSlab    fixed cells of small allocations; always raw
//
// Each unit is followed by one guard page (2 MiB of unused addresses, kGuardBytes) that the page table also maps to
// the unit, so a pointer that ends exactly at the unit still finds it and neighbours never share an end.
#pragma once

#include <cuda.h>

#include <atomic>
#include <cstdint>

namespace loretoken {

inline constexpr uint64_t kPageBytes = uint64_t{2} << 20;  // VMM granularity
inline constexpr uint64_t kGuardBytes = kPageBytes;

enum class UnitKind : uint8_t { kSingle, kShared, kSlab };

// Who may change a state: see residency.h. Readers on the hot path only ask "is it kRaw".
enum class UnitState : uint8_t {
  kUnbacked,  // no physical memory, no content (address range in the heap's cache, or never touched)
  kRaw,       // mapped; its bytes are current for every stream
  kArriving,  // mapped; an unpack is queued on our stream and streams must wait for its event; or it found damage, and
              // whoever reaches the unit fails
  kClaimed,   // mapped; the mover is packing it or dropping it
  kPacked,    // unmapped; a blob in VRAM holds its bytes
  kHost,      // unmapped; a blob in pinned host memory holds its bytes
};

// Reasons to stay raw. Names are contract: they are telemetry's and the report's.
enum class Pin : uint8_t {
  kExported,        // IPC or a shareable handle
  kRegistered,      // registered with another library or device (GPUDirect, P2P tokens)
  kCaptured,        // reached by a graph whose contents cannot be listed
  kPointerStored,   // its address was copied into memory that is not ours
  kTexture,         // a texture or surface object refers to it
  kSmall,           // lives in a slab
  kIncompressible,  // packing did not shrink it; tried again after a pause
  kUnknownCall,     // handed to a call whose reach is not known
  kMemOp,           // the target of stream memory operations
  kPenalty,         // left raw because moving it cost more than it won
  kCount,
};
const char* to_string(Pin);

enum UnitFlag : uint8_t {
  kFlagHoldsEdges = 1,   // some allocation in it holds pointers to others: the launch takes the closure path
  kFlagScanPending = 2,  // a pointer scan over it was queued and has not reported
  kFlagIdle = 4,         // in the heap's cache: no live content; reclaim without packing
  kFlagIsTarget = 8,     // some allocation holds its address: it may be used on streams that never named it
};

// Monotonic ticks: the time stamp counter where there is one, else nanoseconds. ~8 ns, no contention.
uint64_t reach_clock();

struct BlobRef {
  uint64_t address = 0;  // device address in the blob arena, or host address in the host arena
  uint64_t bytes = 0;    // 0: no blob
};

struct Unit {
  // Set at creation, constant while the unit exists.
  uint64_t base = 0;   // first address, kPageBytes aligned
  uint64_t bytes = 0;  // size of the extent and of its handle, multiple of kPageBytes
  uint32_t index = 0;  // position in the unit table; 0 is never a unit
  uint8_t device = 0;  // device ordinal as the driver counts
  UnitKind kind = UnitKind::kSingle;

  // Hot path, lock-free. One cache line.
  alignas(64) std::atomic<UnitState> state{UnitState::kUnbacked};
  std::atomic<uint8_t> flags{0};
  std::atomic<uint32_t> pins{0};  // bit per Pin
  std::atomic<uint64_t> stream_mask{
      0};  // bit per StreamSlot whose queued work may touch it (relaxed; read by the mover after a grace period)
  std::atomic<uint64_t> last_reach{0};  // reach_clock() of the last operation that reached it (relaxed)
  std::atomic<uint32_t> holds{0};       // operations that need it raw and are not queued yet (or block the host); taken
                                        // inside a section or under the residency mutex, dropped without either

  std::atomic<uint64_t> idle_since{0};  // reach_clock() when kFlagIdle was set last
  std::atomic<uint32_t> open_scans{
      0};  // scans that may tell who holds its address; outlives the content (reach/sequence.h)

  // An allocation larger than unit_max is several units in a row: the first one's index and their number. Set before
  // the units are in the page table, constant while the allocation lives.
  uint32_t row_first = 0;
  uint32_t row_count = 1;

  // Guarded by the device's residency mutex.
  alignas(64) bool cancel_pack = false;  // someone needs it while it is kClaimed
  bool undecodable = false;              // verifying its last blob failed: not before retry_pack_after, whoever waits
  bool stalled = false;                  // the mover waited in vain for a stream that used it or for a scan
  bool requested = false;                // the thread that waits for room needs it: no victim
  bool hidden = false;                   // strict check: kRaw, handle kept, but unmapped
  bool ever_packed = false;              // since its content began
  bool damaged = false;                  // kArriving for good: its bytes are wrong and the policy is to fail
  bool blob_on_host = false;
  uint32_t pin_counts[static_cast<int>(Pin::kCount)] = {};
  CUmemGenericAllocationHandle handle = 0;  // 0: not backed
  BlobRef blob;  // kPacked: VRAM; kHost: host; kRaw: kept because the content may be unchanged
  // Bytes from base that carry content (<= bytes, 0: all); what is packed. Set by the heap while the unit has no
  // content and no blob, so one load per pack or unpack sees one value.
  std::atomic<uint64_t> content_bytes{0};
  uint64_t retry_pack_after = 0;  // reach_clock(); set when packing did not shrink it or its blob was wrong
  uint32_t clean_drops = 0;       // evictions that found the kept blob still right
  uint32_t dirty_drops = 0;       // evictions that had to pack anew
  CUevent ready = nullptr;        // kArriving and not damaged: recorded behind the unpack
  uint32_t result_slot = 0;       // kArriving: where the unpack reports
  uint64_t cost_ns = 0;           // time that operations waited for its coming back, lately (residency/guarding.cpp)
};

// Bytes from the base that packing has to keep.
inline uint64_t content_of(const Unit& unit) {
  const uint64_t content = unit.content_bytes.load(std::memory_order_relaxed);
  return content != 0 ? content : unit.bytes;
}

}  // namespace loretoken
