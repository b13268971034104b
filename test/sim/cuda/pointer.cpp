// cuPointerGetAttribute(s): what is known about an address.
#include <cstring>

#include "api.h"
#include "module.h"

namespace loretoken::sim {

namespace {

// What stands behind an address, whatever made it.
struct Behind {
  const Allocation* allocation = nullptr;
  const Mapping* mapping = nullptr;
  bool host() const { return allocation && (allocation->kind == Kind::kHost || allocation->kind == Kind::kRegistered); }
  bool known() const { return allocation || mapping; }
};

template <class T>
CUresult put(void* out, T value) {
  std::memcpy(out, &value, sizeof value);
  return CUDA_SUCCESS;
}

CUresult answer(void* out, CUpointer_attribute attribute, CUdeviceptr address, const Behind& b) {
  const Allocation* a = b.allocation;
  const uintptr_t base = a ? a->base : b.mapping->base;
  const uint64_t size = a ? a->size : b.mapping->size;
  const int device = a ? a->device : b.mapping->handle->device;
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
      // VMM and pool memory belong to no context.
      return put<CUcontext>(out, a && a->kind != Kind::kPool ? as_handle<CUcontext>(a->ctx.get()) : nullptr);
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE: {
      const bool on_host = b.host() || (b.mapping && device < 0);
      return put<unsigned>(out, on_host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE);
    }
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
      return put<CUdeviceptr>(out, address);
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
      if (!b.host() && !(a && a->kind == Kind::kManaged)) {
        put<void*>(out, nullptr);
        return CUDA_ERROR_INVALID_VALUE;
      }
      return put<void*>(out, reinterpret_cast<void*>(address));
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
      return put<unsigned>(out, a ? static_cast<unsigned>(a->sync_memops) : 0u);
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
      return put<unsigned long long>(out, a ? a->buffer_id : b.mapping->buffer_id);
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
      return put<unsigned>(out, a && a->kind == Kind::kManaged);
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
      return put<int>(out, device);
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
      return put<unsigned>(out, a && a->kind == Kind::kDevice);
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
    case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
      return put<CUdeviceptr>(out, base);
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
    case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
      return put<size_t>(out, size);
    case CU_POINTER_ATTRIBUTE_MAPPED:
      return put<unsigned>(out, 1);
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
      return put<unsigned long long>(out, b.mapping ? b.mapping->handle->prop.requestedHandleTypes : 0);
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
      return put<unsigned>(out, 0);
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
      return put<unsigned>(out, CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READWRITE);
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
      return put<CUmemoryPool>(out, a && a->pool ? as_handle<CUmemoryPool>(a->pool.get()) : nullptr);
    case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
      return put<unsigned long long>(out, a ? a->buffer_id : b.mapping->handle->block_id);
    case CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE:
      return put<unsigned>(out, 0);
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

// What the plural call writes for an address that the driver does not know.
void answer_unknown(void* out, CUpointer_attribute attribute) {
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
      put<int>(out, CU_DEVICE_INVALID);
      break;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
    case CU_POINTER_ATTRIBUTE_MAPPED:
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
    case CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE:
      put<unsigned>(out, 0);
      break;
    default:
      put<uint64_t>(out, 0);
  }
}

Behind look(CUdeviceptr address) {
  Behind behind;
  if (auto found = find_allocation(address)) {
    behind.allocation = found.get();
  } else {
    behind.mapping = find_mapping(address);
  }
  return behind;
}

// An address inside a reservation that nothing is mapped to.
bool only_reserved(CUdeviceptr address, uintptr_t& base, uint64_t& size) {
  auto& all = state().reservations;
  auto it = all.upper_bound(address);
  if (it == all.begin()) return false;
  --it;
  base = it->first;
  size = it->second;
  return address - base < size;
}

}  // namespace

}  // namespace loretoken::sim

using namespace loretoken::sim;

extern "C" {

CUresult cuPointerGetAttribute(void* out, CUpointer_attribute attribute, CUdeviceptr address) {
  SIM_API_LOCKED(cuPointerGetAttribute, kContext);
  if (!out || attribute < CU_POINTER_ATTRIBUTE_CONTEXT || attribute > CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE)
    return CUDA_ERROR_INVALID_VALUE;
  const Behind behind = look(address);
  if (behind.known()) return answer(out, attribute, address, behind);
  if (attribute == CU_POINTER_ATTRIBUTE_MAPPED) {
    uintptr_t base = 0;
    uint64_t size = 0;
    put<unsigned>(out, 0);
    return only_reserved(address, base, size) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_ERROR_INVALID_VALUE;
}

CUresult cuPointerGetAttributes(unsigned int count, CUpointer_attribute* attributes, void** out, CUdeviceptr address) {
  SIM_API_LOCKED(cuPointerGetAttributes, kContext);
  if (!count || !attributes || !out) return CUDA_ERROR_INVALID_VALUE;
  const Behind behind = look(address);
  for (unsigned i = 0; i < count; ++i) {
    if (!out[i] || attributes[i] < CU_POINTER_ATTRIBUTE_CONTEXT ||
        attributes[i] > CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE)
      return CUDA_ERROR_INVALID_VALUE;
    if (behind.known()) {
      answer(out[i], attributes[i], address, behind);
    } else {
      answer_unknown(out[i], attributes[i]);
    }
  }
  return CUDA_SUCCESS;
}

CUresult cuPointerSetAttribute(const void* value, CUpointer_attribute attribute, CUdeviceptr address) {
  SIM_API_LOCKED(cuPointerSetAttribute, kContext);
  if (!value || attribute != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS) return CUDA_ERROR_INVALID_VALUE;
  auto found = find_allocation(address);
  if (!found) return find_mapping(address) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  unsigned flag = 0;
  std::memcpy(&flag, value, sizeof flag);
  found->sync_memops = flag != 0;
  return CUDA_SUCCESS;
}

}  // extern "C"
