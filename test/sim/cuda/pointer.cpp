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
  const LtHostGlobal* global = nullptr;
  std::shared_ptr<Context> ctx;  // null for memory of pools and of VMM
  uintptr_t base = 0;
  uint64_t size = 0;
  int device = 0;
  bool is(Kind kind) const { return allocation && allocation->kind == kind; }
  bool host() const { return is(Kind::kHost) || is(Kind::kRegistered); }
  bool known() const { return allocation || mapping || global; }
};

// The physical piece that holds the memory.
struct Piece {
  uintptr_t base;
  uint64_t size;
};

Piece piece_of(const Behind& b) {
  if (!b.allocation || b.is(Kind::kRegistered)) return {b.base, b.size};
  const Block& block = b.allocation->block;
  const bool shared = b.allocation->kind <= Kind::kPool && !block.large;
  const uint64_t before = shared ? block.offset % kGranularity : 0;
  const uint64_t unit = b.is(Kind::kPool) || b.is(Kind::kGraph) ? kPoolChunk : kGranularity;
  return {b.base - before, round_up(before + b.size, unit)};
}

template <class T>
CUresult put(void* out, T value) {
  std::memcpy(out, &value, sizeof value);
  return CUDA_SUCCESS;
}

CUresult answer(void* out, CUpointer_attribute attribute, CUdeviceptr address, const Behind& b) {
  const Allocation* a = b.allocation;
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
      return put<CUcontext>(out, as_handle<CUcontext>(b.ctx.get()));
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE: {
      const bool on_host = b.host() || (b.mapping && b.device < 0);
      return put<unsigned>(out, on_host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE);
    }
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
      return put<CUdeviceptr>(out, address);
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
      if (!b.host() && !b.is(Kind::kManaged)) {
        put<void*>(out, nullptr);
        return CUDA_ERROR_INVALID_VALUE;
      }
      return put<void*>(out, reinterpret_cast<void*>(address));
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
      return put<unsigned>(out, a ? static_cast<unsigned>(a->sync_memops) || b.is(Kind::kManaged) : 0u);
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
      return put<unsigned long long>(out, a ? a->buffer_id : b.mapping ? b.mapping->buffer_id : b.base);
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
      return put<unsigned>(out, b.is(Kind::kManaged));
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
      return put<int>(out, b.device);
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE:
      return put<unsigned>(out, b.is(Kind::kDevice));
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
      return put<CUdeviceptr>(out, b.base);
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
      return put<size_t>(out, b.size);
    case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
      return put<CUdeviceptr>(out, piece_of(b).base);
    case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
      return put<size_t>(out, piece_of(b).size);
    case CU_POINTER_ATTRIBUTE_MAPPED:
      return put<unsigned>(out, 1);
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
      return put<unsigned long long>(out, b.mapping ? b.mapping->handle->prop.requestedHandleTypes : 0);
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
      return put<unsigned>(out, CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READWRITE);
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
      return put<CUmemoryPool>(out, a && a->pool ? as_handle<CUmemoryPool>(a->pool.get()) : nullptr);
    case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
      return put<unsigned long long>(out, a ? a->buffer_id : b.mapping ? b.mapping->handle->block_id : b.base);
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

// What the plural call writes for an address that nothing stands behind.
void answer_unknown(void* out, CUpointer_attribute attribute, CUdeviceptr address) {
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
      put<int>(out, CU_DEVICE_INVALID);
      break;
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
      put<CUdeviceptr>(out, address);
      break;
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE: {
      const auto reservation = find_reservation(address);
      put<uint64_t>(out, reservation ? reservation->second : 0);
      break;
    }
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
  Behind b;
  if (auto found = find_allocation(address)) {
    // A graph's address means something only while the memory is made.
    if (found->kind == Kind::kGraph && !found->live) return b;
    b.allocation = found.get();
    b.base = found->base;
    b.size = found->size;
    b.device = found->device;
    if (found->kind != Kind::kPool) b.ctx = found->ctx;
  } else if (Mapping* mapping = find_mapping(address)) {
    b.mapping = mapping;
    b.base = mapping->base;
    b.size = mapping->size;
    b.device = mapping->handle->device;
  } else if (const LtHostGlobal* global = find_global(address, &b.ctx)) {
    b.global = global;
    b.base = reinterpret_cast<uintptr_t>(global->address);
    b.size = global->size;
    b.device = b.ctx->device;
  }
  return b;
}

}  // namespace

}  // namespace loretoken::sim

using namespace loretoken::sim;

extern "C" {

CUresult cuPointerGetAttribute(void* out, CUpointer_attribute attribute, CUdeviceptr address) {
  SIM_API_LOCKED(cuPointerGetAttribute, kInit);
  if (!out || attribute < CU_POINTER_ATTRIBUTE_CONTEXT || attribute > CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE)
    return CUDA_ERROR_INVALID_VALUE;
  const Behind behind = look(address);
  return behind.known() ? answer(out, attribute, address, behind) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuPointerGetAttributes(unsigned int count, CUpointer_attribute* attributes, void** out, CUdeviceptr address) {
  SIM_API_LOCKED(cuPointerGetAttributes, kInit);
  if (!count || !attributes || !out) return CUDA_ERROR_INVALID_VALUE;
  const Behind behind = look(address);
  for (unsigned i = 0; i < count; ++i) {
    if (!out[i] || attributes[i] < CU_POINTER_ATTRIBUTE_CONTEXT ||
        attributes[i] > CU_POINTER_ATTRIBUTE_IS_HW_DECOMPRESS_CAPABLE)
      return CUDA_ERROR_INVALID_VALUE;
    if (behind.known()) {
      answer(out[i], attributes[i], address, behind);
    } else {
      answer_unknown(out[i], attributes[i], address);
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
