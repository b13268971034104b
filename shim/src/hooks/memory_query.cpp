// What the program asks about memory: answered as an enlarged card with plain allocations would, packed ones included.
#include <algorithm>
#include <mutex>
#include <unordered_set>

#include "hooks/hooks.h"
#include "hooks/memory_common.h"
#include "memory/physical.h"

namespace loretoken::hooks {
namespace {

// Allocations whose memory operations are synchronous by cuPointerSetAttribute, by their ids (never used twice).
std::mutex g_sync_mutex;
std::unordered_set<uint64_t>& sync_ids() {
  static auto* ids = new std::unordered_set<uint64_t>;
  return *ids;
}

template <class T>
CUresult answer(void* data, T value) {
  *static_cast<T*>(data) = value;
  return CUDA_SUCCESS;
}

// One attribute of an allocation of ours. CUDA_ERROR_INVALID_VALUE: not one that device memory has.
CUresult attribute_of(const AllocationInfo& info, CUdeviceptr ptr, CUpointer_attribute attribute, void* data) {
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
      return answer<CUcontext>(data, info.context);
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
      return answer<unsigned int>(data, CU_MEMORYTYPE_DEVICE);
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
      return answer<CUdeviceptr>(data, ptr);
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS: {
      std::lock_guard lock(g_sync_mutex);
      return answer<bool>(data, sync_ids().count(info.id) != 0);
    }
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
    case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
      return answer<unsigned long long>(data, info.id);
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
      return answer<unsigned int>(data, 0);
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
      return answer<int>(data, info.device);
    // No IPC handles, and no RDMA behind our back: memory that is not pinned may be remapped.
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE:
      return answer<bool>(data, false);
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
    case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
      return answer<CUdeviceptr>(data, info.base);
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
    case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
      return answer<size_t>(data, info.bytes);
    case CU_POINTER_ATTRIBUTE_MAPPED:
      return answer<bool>(data, true);
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
      return answer<unsigned long long>(data, 0);
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
      return answer<unsigned int>(data, CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READWRITE);
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
      return answer<CUmemoryPool>(data, info.pool);
    case CU_POINTER_ATTRIBUTE_P2P_TOKENS: {
      // Tokens stand for the physical pages.
      if (const CUresult result = pin_range(info.base, info.bytes, Pin::kRegistered); result != CUDA_SUCCESS)
        return result;
      return driver().cuPointerGetAttribute(data, attribute, ptr);
    }
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

// What the driver writes for an attribute that does not apply.
void write_default(CUpointer_attribute attribute, void* data) {
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_P2P_TOKENS:
      *static_cast<CUDA_POINTER_ATTRIBUTE_P2P_TOKENS*>(data) = {};
      return;
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE:
    case CU_POINTER_ATTRIBUTE_MAPPED:
      *static_cast<bool*>(data) = false;
      return;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
      *static_cast<unsigned int*>(data) = 0;
      return;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
      *static_cast<int*>(data) = -2;  // as the driver: no device, no host
      return;
    default:
      *static_cast<uint64_t*>(data) = 0;
      return;
  }
}

}  // namespace

CUresult cuMemGetInfo_v2(size_t* free, size_t* total) {
  const CUresult result = driver().cuMemGetInfo_v2(free, total);
  Runtime* runtime = Runtime::get();
  if (result != CUDA_SUCCESS || runtime == nullptr) return result;
  CUdevice ordinal = 0;
  uint64_t limit = 0;
  uint64_t size = 0;
  if (driver().cuCtxGetDevice(&ordinal) != CUDA_SUCCESS || !runtime->sizes_of(ordinal, &limit, &size)) return result;
  uint64_t taken = 0;
  if (const DeviceRuntime* device = runtime->device(ordinal)) {
    taken = device->heap->live_bytes() + device->physical->foreign();
  }
  if (total != nullptr) *total = size;
  if (free != nullptr) *free = size - std::min(size, taken);
  return result;
}

CUresult cuDeviceTotalMem_v2(size_t* bytes, CUdevice dev) {
  const CUresult result = driver().cuDeviceTotalMem_v2(bytes, dev);
  Runtime* runtime = Runtime::get();
  if (result != CUDA_SUCCESS || runtime == nullptr) return result;
  uint64_t limit = 0;
  uint64_t size = 0;
  if (runtime->sizes_of(dev, &limit, &size)) *bytes = size;
  return result;
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr* base, size_t* size, CUdeviceptr dptr) {
  if (owner_of(dptr) == nullptr) return driver().cuMemGetAddressRange_v2(base, size, dptr);
  const std::optional<AllocationInfo> info = allocation_at(dptr);
  if (!info) return CUDA_ERROR_NOT_FOUND;
  if (base != nullptr) *base = info->base;
  if (size != nullptr) *size = info->bytes;
  return CUDA_SUCCESS;
}

CUresult cuPointerGetAttribute(void* data, CUpointer_attribute attribute, CUdeviceptr ptr) {
  if (data == nullptr || owner_of(ptr) == nullptr) return driver().cuPointerGetAttribute(data, attribute, ptr);
  const std::optional<AllocationInfo> info = allocation_at(ptr);
  if (!info) return CUDA_ERROR_INVALID_VALUE;
  return attribute_of(*info, ptr, attribute, data);
}

CUresult cuPointerGetAttributes(unsigned int count, CUpointer_attribute* attributes, void** data, CUdeviceptr ptr) {
  if (count == 0 || attributes == nullptr || data == nullptr || owner_of(ptr) == nullptr) {
    return driver().cuPointerGetAttributes(count, attributes, data, ptr);
  }
  const std::optional<AllocationInfo> info = allocation_at(ptr);
  for (unsigned int i = 0; i < count; ++i) {
    if (data[i] == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (!info || attribute_of(*info, ptr, attributes[i], data[i]) != CUDA_SUCCESS)
      write_default(attributes[i], data[i]);
  }
  return CUDA_SUCCESS;
}

CUresult cuPointerSetAttribute(const void* value, CUpointer_attribute attribute, CUdeviceptr ptr) {
  const std::optional<AllocationInfo> info = value == nullptr ? std::nullopt : allocation_at(ptr);
  if (!info) return driver().cuPointerSetAttribute(value, attribute, ptr);
  if (const CUresult result = pin_range(info->base, info->bytes, Pin::kRegistered); result != CUDA_SUCCESS)
    return result;
  const CUresult result = driver().cuPointerSetAttribute(value, attribute, ptr);
  if (result == CUDA_SUCCESS && attribute == CU_POINTER_ATTRIBUTE_SYNC_MEMOPS) {
    std::lock_guard lock(g_sync_mutex);
    // The driver takes any integer type here; its first byte tells.
    if (*static_cast<const unsigned char*>(value) != 0) {
      sync_ids().insert(info->id);
    } else {
      sync_ids().erase(info->id);
    }
  }
  return result;
}

}  // namespace loretoken::hooks
