#include "memory/pools.h"

#include <algorithm>

#include "driver/driver.h"
#include "memory/heap.h"
#include "runtime/factories.h"

namespace loretoken {
namespace {

// What is in use, in whole pages: idle memory is kept for all pools together, so it counts for none.
uint64_t in_pages(uint64_t bytes) {
  return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
}

}  // namespace

Pools::Pools(DeviceRuntime& runtime) : rt_(runtime) {
  CUmemoryPool pool = nullptr;
  if (driver().cuDeviceGetDefaultMemPool == nullptr || driver().cuDeviceGetMemPool == nullptr) return;
  if (driver().cuDeviceGetDefaultMemPool(&pool, rt_.device) == CUDA_SUCCESS) created(pool);
  if (driver().cuDeviceGetMemPool(&pool, rt_.device) == CUDA_SUCCESS) set_current(pool);
}

bool Pools::owns(CUmemoryPool pool) const {
  std::lock_guard lock(mutex_);
  return reserved_peak_.count(pool) != 0;
}

void Pools::set_current(CUmemoryPool pool) {
  current_.store(owns(pool) ? pool : nullptr, std::memory_order_release);
}

void Pools::created(CUmemoryPool pool) {
  std::lock_guard lock(mutex_);
  reserved_peak_.emplace(pool, 0);
}

void Pools::destroyed(CUmemoryPool pool) {
  std::lock_guard lock(mutex_);
  reserved_peak_.erase(pool);
}

CUresult Pools::get(CUmemoryPool pool, CUmemPool_attribute attribute, void* value) const {
  const Heap::PoolUse use = rt_.heap->pool_use(pool);
  auto* out = static_cast<cuuint64_t*>(value);
  switch (attribute) {
    case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT:
      *out = in_pages(use.live);
      return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH: {
      std::lock_guard lock(mutex_);
      const auto it = reserved_peak_.find(pool);
      *out = std::max(in_pages(use.peak), it == reserved_peak_.end() ? 0 : it->second);
      return CUDA_SUCCESS;
    }
    case CU_MEMPOOL_ATTR_USED_MEM_CURRENT:
      *out = use.live;
      return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
      *out = use.peak;
      return CUDA_SUCCESS;
    default:
      return CUDA_ERROR_NOT_SUPPORTED;
  }
}

CUresult Pools::set(CUmemoryPool pool, CUmemPool_attribute attribute, const void* value) {
  const bool used = attribute == CU_MEMPOOL_ATTR_USED_MEM_HIGH;
  if (!used && attribute != CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH) return CUDA_ERROR_NOT_SUPPORTED;
  // The peaks may only be set to zero, which means: begin anew.
  if (*static_cast<const cuuint64_t*>(value) != 0) return CUDA_ERROR_INVALID_VALUE;
  const Heap::PoolUse use = rt_.heap->pool_use(pool);
  std::lock_guard lock(mutex_);
  const auto it = reserved_peak_.find(pool);
  if (it == reserved_peak_.end()) return CUDA_ERROR_INVALID_VALUE;
  if (used) {
    // The two peaks begin anew apart from each other: keep what the reserved one has seen.
    it->second = std::max(it->second, in_pages(use.peak));
    rt_.heap->reset_peak(pool);
  } else {
    it->second = in_pages(use.live);
  }
  return CUDA_SUCCESS;
}

DeviceRuntime* runtime_of(CUmemoryPool pool) {
  Runtime* runtime = Runtime::get();
  if (runtime == nullptr || pool == nullptr) return nullptr;
  for (int ordinal = 0; ordinal < runtime->device_count(); ++ordinal) {
    DeviceRuntime* device = runtime->device(ordinal);
    if (device != nullptr && device->pools != nullptr && device->pools->owns(pool)) return device;
  }
  return nullptr;
}

std::unique_ptr<Pools> make_pools(DeviceRuntime& runtime) {
  return std::make_unique<Pools>(runtime);
}

}  // namespace loretoken
