// Stream-ordered pools: the handles are the driver's, the memory of device pools is ours (see memory/pools.h).
#include "hooks/hooks.h"
#include "hooks/memory_common.h"
#include "memory/peers.h"
#include "memory/pools.h"
#include "residency/residency.h"

namespace loretoken::hooks {

CUresult cuMemPoolCreate(CUmemoryPool* pool, const CUmemPoolProps* props) {
  const CUresult result = driver().cuMemPoolCreate(pool, props);
  if (result != CUDA_SUCCESS || Runtime::get() == nullptr) return result;
  const bool plain = props->allocType == CU_MEM_ALLOCATION_TYPE_PINNED &&
                     props->location.type == CU_MEM_LOCATION_TYPE_DEVICE &&
                     props->handleTypes == CU_MEM_HANDLE_TYPE_NONE;
  if (plain) pool_created(*pool, props->location.id);
  return result;
}

CUresult cuMemPoolDestroy(CUmemoryPool pool) {
  // First of all: the handle may be another pool's as soon as the driver has let go of it.
  const std::optional<int> device = pool_device(pool);
  if (device) pool_destroyed(pool);
  const CUresult result = driver().cuMemPoolDestroy(pool);
  if (device && result != CUDA_SUCCESS) pool_created(pool, *device);
  if (DeviceRuntime* owner = result == CUDA_SUCCESS && device ? Runtime::get()->device(*device) : nullptr) {
    owner->pools->refresh_current();
  }
  return result;
}

CUresult cuDeviceSetMemPool(CUdevice dev, CUmemoryPool pool) {
  const CUresult result = driver().cuDeviceSetMemPool(dev, pool);
  if (result != CUDA_SUCCESS || Runtime::get() == nullptr) return result;
  if (DeviceRuntime* device = Runtime::get()->device(dev)) device->pools->refresh_current();
  return result;
}

CUresult cuMemSetMemPool(CUmemLocation* location, CUmemAllocationType type, CUmemoryPool pool) {
  const CUresult result = driver().cuMemSetMemPool(location, type, pool);
  if (result != CUDA_SUCCESS || Runtime::get() == nullptr || location->type != CU_MEM_LOCATION_TYPE_DEVICE)
    return result;
  if (DeviceRuntime* device = Runtime::get()->device(location->id)) device->pools->refresh_current();
  return result;
}

CUresult cuMemPoolGetAttribute(CUmemoryPool pool, CUmemPool_attribute attribute, void* value) {
  if (DeviceRuntime* device = value == nullptr ? nullptr : runtime_of(pool)) {
    const CUresult result = device->pools->get(pool, attribute, value);
    if (result != CUDA_ERROR_NOT_SUPPORTED) return result;
  }
  return driver().cuMemPoolGetAttribute(pool, attribute, value);
}

CUresult cuMemPoolSetAttribute(CUmemoryPool pool, CUmemPool_attribute attribute, void* value) {
  if (DeviceRuntime* device = value == nullptr ? nullptr : runtime_of(pool)) {
    const CUresult result = device->pools->set(pool, attribute, value);
    if (result != CUDA_ERROR_NOT_SUPPORTED) return result;
  }
  return driver().cuMemPoolSetAttribute(pool, attribute, value);
}

CUresult cuMemPoolSetAccess(CUmemoryPool pool, const CUmemAccessDesc* map, size_t count) {
  const CUresult result = driver().cuMemPoolSetAccess(pool, map, count);
  const std::optional<int> owner = pool_device(pool);
  if (result != CUDA_SUCCESS || !owner) return result;
  for (size_t i = 0; i < count; ++i) {
    if (map[i].location.type != CU_MEM_LOCATION_TYPE_DEVICE) continue;
    // Memory of all pools lies in one reservation, so access is only ever added: a peer that another pool or
    // cuCtxEnablePeerAccess let in must not lose it.
    if (map[i].flags != CU_MEM_ACCESS_FLAGS_PROT_NONE) add_peer(*owner, map[i].location.id);
  }
  return result;
}

CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t keep) {
  const CUresult result = driver().cuMemPoolTrimTo(pool, keep);
  if (DeviceRuntime* device = result == CUDA_SUCCESS ? runtime_of(pool) : nullptr) device->residency->trim(keep);
  return result;
}

}  // namespace loretoken::hooks
