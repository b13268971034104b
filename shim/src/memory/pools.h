// Stream-ordered memory pools. A pool's handle is the driver's own, so that every call about it gives the driver's
// errors; device memory from it is served by our heap, and what the program asks about that memory is answered from
// there. Pools in host or managed memory, and pools whose memory may be exported, are the driver's alone.
#pragma once

#include <cuda.h>

#include <atomic>
#include <cstdint>
#include <optional>

#include "runtime/runtime.h"

namespace loretoken {

// The pools whose memory is ours, of all devices, also of such that are not set up yet. Thread-safe.
void pool_created(CUmemoryPool pool, int ordinal);
void pool_destroyed(CUmemoryPool pool);
std::optional<int> pool_device(CUmemoryPool pool);

// The device whose heap serves the pool, set up if it is the current one; nullptr: the driver serves it.
DeviceRuntime* runtime_of(CUmemoryPool pool);

class Pools {
 public:
  explicit Pools(DeviceRuntime& runtime);
  virtual ~Pools() = default;

  // The pool that cuMemAllocAsync takes from now; nullptr: not one of ours (the driver serves it).
  CUmemoryPool current() const { return current_.load(std::memory_order_acquire); }
  // Asks the driver which one that is.
  void refresh_current();

  // Sizes in use and their peaks. CUDA_ERROR_NOT_SUPPORTED: not about that, ask the driver.
  CUresult get(CUmemoryPool pool, CUmemPool_attribute attribute, void* value) const;
  CUresult set(CUmemoryPool pool, CUmemPool_attribute attribute, const void* value);

 private:
  DeviceRuntime& rt_;
  std::atomic<CUmemoryPool> current_{nullptr};
};

}  // namespace loretoken
