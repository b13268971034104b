// Stream-ordered memory pools. A pool's handle is the driver's own, so that every call about it gives the driver's
// errors; device memory from it is served by our heap, and what the program asks about that memory is answered from
// there. Pools in host or managed memory, and pools whose memory may be exported, are the driver's alone.
#pragma once

#include <cuda.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "runtime/runtime.h"

namespace loretoken {

class Pools {
 public:
  explicit Pools(DeviceRuntime& runtime);
  virtual ~Pools() = default;

  bool owns(CUmemoryPool pool) const;
  // The pool that cuMemAllocAsync takes from now; nullptr: not one of ours (the driver serves it).
  CUmemoryPool current() const { return current_.load(std::memory_order_acquire); }
  void set_current(CUmemoryPool pool);

  void created(CUmemoryPool pool);
  void destroyed(CUmemoryPool pool);

  // nullopt-like: CUDA_ERROR_NOT_SUPPORTED means "ask the driver" (attributes that are not about memory in use).
  CUresult get(CUmemoryPool pool, CUmemPool_attribute attribute, void* value) const;
  CUresult set(CUmemoryPool pool, CUmemPool_attribute attribute, const void* value);

 private:
  DeviceRuntime& rt_;
  mutable std::mutex mutex_;
  std::unordered_map<CUmemoryPool, uint64_t> reserved_peak_;  // the pools we own; peak of their used bytes in pages
  std::atomic<CUmemoryPool> current_{nullptr};
};

// The device whose heap serves the pool; nullptr: the driver does.
DeviceRuntime* runtime_of(CUmemoryPool pool);

}  // namespace loretoken
