// Physical memory of one device in this process: VMM handles by size class, charged against the physical limit.
//
// Thread-safe (a leaf lock). Driver calls inside: cuMemCreate, cuMemRelease (8–270 µs), neither waits for the GPU.
#pragma once

#include <cuda.h>

#include <cstdint>

namespace loretoken {

class Physical {
 public:
  virtual ~Physical() = default;
  struct Handle {
    CUmemGenericAllocationHandle handle = 0;
    uint64_t bytes = 0;
  };
  // A handle of exactly `bytes` (a size class), from the free ones, else created if held() + bytes <= available();
  // releases free handles of other classes to make room. Returns bytes == 0 when there is no room (also when the driver
  // says out of memory). Succeeds only while `reserve()` bytes stay free beside it.
  virtual Handle acquire(uint64_t bytes) = 0;
  // The same for a chunk of the blob arena: may use the reserve, which is there so that packing always has room to
  // start.
  virtual Handle acquire_chunk(uint64_t bytes) = 0;
  virtual void set_reserve(uint64_t bytes) = 0;
  virtual uint64_t reserve() const = 0;
  // Takes an unmapped handle back; keeps it for reuse.
  virtual void give_back(Handle) = 0;
  virtual void trim(uint64_t keep_bytes) = 0;
  virtual uint64_t held() const = 0;       // raw + packed + scratch + idle handles of this process, bytes
  virtual uint64_t idle() const = 0;       // free handles kept for reuse, bytes
  virtual uint64_t available() const = 0;  // what this process may hold: the limit less what others of its group charge
  // Scratch of the shim is charged here too. May exceed available() (false): then acquire fails until it falls.
  virtual bool charge(uint64_t bytes) = 0;
  virtual void discharge(uint64_t bytes) = 0;
  // The same for memory that the program takes past the heap (its own VMM handles, managed memory, graph memory).
  virtual bool charge_foreign(uint64_t bytes) = 0;
  virtual void discharge_foreign(uint64_t bytes) = 0;
  virtual uint64_t foreign() const = 0;
};

// Rounds a size up to its size class: multiples of 2 MiB up to 16 MiB, then 8 classes per doubling (slack <= 12.5 %).
uint64_t size_class(uint64_t bytes);

// VRAM for blobs: addresses of its own, outside of the window, backed by chunks from Physical, released when a chunk is
// empty. A blob may lie across chunks. Not thread-safe: callers hold the device's residency mutex (used and backed: any
// thread).
class BlobArena {
 public:
  virtual ~BlobArena() = default;
  virtual uint64_t allocate(uint64_t bytes) = 0;  // device address aligned to 256 B, 0 when there is no room
  virtual void release(uint64_t address) = 0;
  virtual uint64_t used() const = 0;    // bytes in blobs
  virtual uint64_t backed() const = 0;  // physical bytes behind the arena
  // Bytes of Physical that releasing this blob would free right now (0 when its chunks hold others).
  virtual uint64_t won_by_release(uint64_t address) const = 0;
};

// Pinned host memory for spilled blobs, up to the host limit, which all devices share. Thread-safe.
// Pinning is slow (350 µs per MiB), so memory is pinned in chunks and a chunk that is empty goes back only from
// release()'s second empty chunk on; allocate() pins when nothing free fits.
class HostArena {
 public:
  virtual ~HostArena() = default;
  virtual void* allocate(uint64_t bytes) = 0;  // nullptr when over the limit
  virtual void release(void* address) = 0;
  virtual uint64_t used() const = 0;
  virtual uint64_t limit() const = 0;
  virtual void stop() {}  // the process is ending: no driver call is made from a thread of ours after the return
};

}  // namespace loretoken
