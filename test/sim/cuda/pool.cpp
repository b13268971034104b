// Memory pools.
#include <cstring>

#include "allocate.h"
#include "api.h"
#include "capture.h"

using namespace loretoken::sim;

namespace {

std::shared_ptr<Pool> pool_of(CUmemoryPool handle) {
  auto pool = state().pools.find(handle);
  return pool && !pool->destroyed ? pool : nullptr;
}

CUresult device_of(const CUmemLocation* location, CUmemAllocationType type, Device** out) {
  if (!location || type != CU_MEM_ALLOCATION_TYPE_PINNED) return CUDA_ERROR_INVALID_VALUE;
  if (location->type != CU_MEM_LOCATION_TYPE_DEVICE) return CUDA_ERROR_NOT_SUPPORTED;
  *out = find_device(location->id);
  return *out ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

CUresult set_current(Device& device, CUmemoryPool handle) {
  auto pool = pool_of(handle);
  if (!pool || pool->device != device.ordinal) return CUDA_ERROR_INVALID_VALUE;
  device.current_pool = pool;
  return CUDA_SUCCESS;
}

}  // namespace

extern "C" {

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool* out, CUdevice ordinal) {
  SIM_API_LOCKED(cuDeviceGetDefaultMemPool, kInit);
  Device* device = find_device(ordinal);
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  if (!device) return CUDA_ERROR_INVALID_DEVICE;
  *out = as_handle<CUmemoryPool>(device->default_pool.get());
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetMemPool(CUmemoryPool* out, CUdevice ordinal) {
  SIM_API_LOCKED(cuDeviceGetMemPool, kInit);
  Device* device = find_device(ordinal);
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  if (!device) return CUDA_ERROR_INVALID_DEVICE;
  *out = as_handle<CUmemoryPool>(device->current_pool.get());
  return CUDA_SUCCESS;
}

CUresult cuDeviceSetMemPool(CUdevice ordinal, CUmemoryPool pool) {
  SIM_API_LOCKED(cuDeviceSetMemPool, kInit);
  Device* device = find_device(ordinal);
  return device ? set_current(*device, pool) : CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuMemGetDefaultMemPool(CUmemoryPool* out, CUmemLocation* location, CUmemAllocationType type) {
  SIM_API_LOCKED(cuMemGetDefaultMemPool, kInit);
  Device* device = nullptr;
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  if (CUresult error = device_of(location, type, &device)) return error;
  *out = as_handle<CUmemoryPool>(device->default_pool.get());
  return CUDA_SUCCESS;
}

CUresult cuMemGetMemPool(CUmemoryPool* out, CUmemLocation* location, CUmemAllocationType type) {
  SIM_API_LOCKED(cuMemGetMemPool, kInit);
  Device* device = nullptr;
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  if (CUresult error = device_of(location, type, &device)) return error;
  *out = as_handle<CUmemoryPool>(device->current_pool.get());
  return CUDA_SUCCESS;
}

CUresult cuMemSetMemPool(CUmemLocation* location, CUmemAllocationType type, CUmemoryPool pool) {
  SIM_API_LOCKED(cuMemSetMemPool, kInit);
  Device* device = nullptr;
  if (CUresult error = device_of(location, type, &device)) return error;
  return set_current(*device, pool);
}

CUresult cuMemPoolCreate(CUmemoryPool* out, const CUmemPoolProps* props) {
  SIM_API_LOCKED(cuMemPoolCreate, kInit);
  if (!out || !props) return CUDA_ERROR_INVALID_VALUE;
  Device* device = nullptr;
  if (CUresult error = device_of(&props->location, props->allocType, &device))
    return error == CUDA_ERROR_INVALID_DEVICE ? CUDA_ERROR_INVALID_VALUE : error;
  if (CUresult error = refuse_unsafe_call()) return error;
  if (props->handleTypes != CU_MEM_HANDLE_TYPE_NONE) return CUDA_ERROR_NOT_SUPPORTED;
  auto pool = std::make_shared<Pool>(&device->memory);
  pool->device = device->ordinal;
  pool->max_size = props->maxSize;
  pool->access[device->ordinal] = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
  state().pools.add(pool);
  *out = as_handle<CUmemoryPool>(pool.get());
  return CUDA_SUCCESS;
}

CUresult cuMemPoolDestroy(CUmemoryPool handle) {
  SIM_API_LOCKED(cuMemPoolDestroy, kInit);
  auto pool = pool_of(handle);
  if (!pool || pool->is_default) return CUDA_ERROR_INVALID_VALUE;
  // Allocations that live keep their memory; what they give back goes to the card.
  pool->destroyed = true;
  pool->heap.keep_freed(false);
  pool->heap.trim(0);
  publish(pool->device);
  Device& device = *find_device(pool->device);
  if (device.current_pool == pool) device.current_pool = device.default_pool;
  state().pools.remove(handle);
  return CUDA_SUCCESS;
}

CUresult cuMemPoolTrimTo(CUmemoryPool handle, size_t keep) {
  SIM_API_LOCKED(cuMemPoolTrimTo, kInit);
  auto pool = pool_of(handle);
  if (!pool) return CUDA_ERROR_INVALID_VALUE;
  if (CUresult error = refuse_unsafe_call()) return error;
  pool->heap.trim(keep);
  publish(pool->device);
  return CUDA_SUCCESS;
}

CUresult cuMemPoolSetAttribute(CUmemoryPool handle, CUmemPool_attribute attribute, void* value) {
  SIM_API_LOCKED(cuMemPoolSetAttribute, kInit);
  auto pool = pool_of(handle);
  if (!pool || !value) return CUDA_ERROR_INVALID_VALUE;
  uint64_t wide = 0;
  int narrow = 0;
  if (attribute >= CU_MEMPOOL_ATTR_RELEASE_THRESHOLD) {
    std::memcpy(&wide, value, 8);
  } else {
    std::memcpy(&narrow, value, 4);
  }
  switch (attribute) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
      pool->follow_events = narrow;
      return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
      pool->opportunistic = narrow;
      return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
      pool->internal_dependencies = narrow;
      return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
      pool->threshold = wide;
      return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
      if (wide) return CUDA_ERROR_INVALID_VALUE;
      pool->reserved_high = pool->heap.reserved();
      return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
      if (wide) return CUDA_ERROR_INVALID_VALUE;
      pool->used_high = pool->used;
      return CUDA_SUCCESS;
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

CUresult cuMemPoolGetAttribute(CUmemoryPool handle, CUmemPool_attribute attribute, void* value) {
  SIM_API_LOCKED(cuMemPoolGetAttribute, kInit);
  auto pool = pool_of(handle);
  if (!pool || !value) return CUDA_ERROR_INVALID_VALUE;
  auto narrow = [&](int v) { return std::memcpy(value, &v, 4), CUDA_SUCCESS; };
  auto wide = [&](cuuint64_t v) { return std::memcpy(value, &v, 8), CUDA_SUCCESS; };
  switch (attribute) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
      return narrow(pool->follow_events);
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
      return narrow(pool->opportunistic);
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
      return narrow(pool->internal_dependencies);
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
      return wide(pool->threshold);
    case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT:
      return wide(pool->heap.reserved());
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH:
      return wide(std::max(pool->reserved_high, pool->heap.reserved()));
    case CU_MEMPOOL_ATTR_USED_MEM_CURRENT:
      return wide(pool->used);
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH:
      return wide(pool->used_high);
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

CUresult cuMemPoolSetAccess(CUmemoryPool handle, const CUmemAccessDesc* map, size_t count) {
  SIM_API_LOCKED(cuMemPoolSetAccess, kInit);
  auto pool = pool_of(handle);
  if (!pool || (count && !map)) return CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < count; ++i) {
    if (map[i].location.type != CU_MEM_LOCATION_TYPE_DEVICE) return CUDA_ERROR_INVALID_VALUE;
    if (!find_device(map[i].location.id)) return CUDA_ERROR_INVALID_DEVICE;
    if (map[i].location.id == pool->device && map[i].flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE)
      return CUDA_ERROR_INVALID_DEVICE;
  }
  for (size_t i = 0; i < count; ++i) pool->access[map[i].location.id] = map[i].flags;
  return CUDA_SUCCESS;
}

CUresult cuMemPoolGetAccess(CUmemAccess_flags* flags, CUmemoryPool handle, CUmemLocation* location) {
  SIM_API_LOCKED(cuMemPoolGetAccess, kInit);
  auto pool = pool_of(handle);
  if (!flags || !pool || !location || location->type != CU_MEM_LOCATION_TYPE_DEVICE) return CUDA_ERROR_INVALID_VALUE;
  if (!find_device(location->id)) return CUDA_ERROR_INVALID_DEVICE;
  auto it = pool->access.find(location->id);
  *flags = it == pool->access.end() ? CU_MEM_ACCESS_FLAGS_PROT_NONE : it->second;
  return CUDA_SUCCESS;
}

// No pool here is made to be shared.
CUresult cuMemPoolExportPointer(CUmemPoolPtrExportData*, CUdeviceptr) {
  SIM_API(cuMemPoolExportPointer, kInit);
  return CUDA_ERROR_INVALID_VALUE;
}

}  // extern "C"
