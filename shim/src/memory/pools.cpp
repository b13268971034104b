#include "memory/pools.h"

#include <algorithm>
#include <mutex>
#include <unordered_map>

#include "driver/driver.h"
#include "memory/heap.h"
#include "runtime/factories.h"

namespace loretoken {
namespace {

struct Registry {
  std::mutex mutex;
  std::unordered_map<CUmemoryPool, int> pools;  // device ordinal
};

Registry& registry() {
  static auto* instance = new Registry;
  return *instance;
}

// What is in use, in whole pages: idle memory is kept for all pools together, so it counts for none.
uint64_t in_pages(uint64_t bytes) {
  return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
}

}  // namespace

void pool_created(CUmemoryPool pool, int ordinal) {
  Registry& all = registry();
  std::lock_guard lock(all.mutex);
  all.pools.emplace(pool, ordinal);
}

void pool_destroyed(CUmemoryPool pool) {
  Registry& all = registry();
  std::lock_guard lock(all.mutex);
  all.pools.erase(pool);
}

std::optional<int> pool_device(CUmemoryPool pool) {
  Registry& all = registry();
  std::lock_guard lock(all.mutex);
  const auto it = all.pools.find(pool);
  if (it == all.pools.end()) return std::nullopt;
  return it->second;
}

DeviceRuntime* runtime_of(CUmemoryPool pool) {
  Runtime* runtime = Runtime::get();
  if (runtime == nullptr || pool == nullptr) return nullptr;
  const std::optional<int> ordinal = pool_device(pool);
  if (!ordinal) return nullptr;
  if (DeviceRuntime* ready = runtime->device(*ordinal)) return ready;
  CUdevice current = -1;
  if (driver().cuCtxGetDevice(&current) != CUDA_SUCCESS || current != *ordinal) return nullptr;
  return runtime->current_device();
}

Pools::Pools(DeviceRuntime& runtime) : rt_(runtime) {
  CUmemoryPool pool = nullptr;
  if (driver().cuDeviceGetDefaultMemPool == nullptr || driver().cuDeviceGetMemPool == nullptr) return;
  if (driver().cuDeviceGetDefaultMemPool(&pool, rt_.device) == CUDA_SUCCESS) pool_created(pool, rt_.ordinal);
  refresh_current();
}

void Pools::refresh_current() {
  CUmemoryPool pool = nullptr;
  const CUresult result = driver().cuDeviceGetMemPool(&pool, rt_.device);
  const bool ours = result == CUDA_SUCCESS && pool_device(pool) == rt_.ordinal;
  current_.store(ours ? pool : nullptr, std::memory_order_release);
}

CUresult Pools::get(CUmemoryPool pool, CUmemPool_attribute attribute, void* value) const {
  const Heap::PoolUse use = rt_.heap->pool_use(pool);
  auto* out = static_cast<cuuint64_t*>(value);
  switch (attribute) {
    case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT:
      *out = in_pages(use.live);
      return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
      *out = in_pages(use.reserved_peak);
      return CUDA_SUCCESS;
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
  rt_.heap->reset_peak(pool, !used);
  return CUDA_SUCCESS;
}

std::unique_ptr<Pools> make_pools(DeviceRuntime& runtime) {
  return std::make_unique<Pools>(runtime);
}

}  // namespace loretoken
