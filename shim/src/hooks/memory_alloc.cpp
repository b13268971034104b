// cuMemAlloc, cuMemAllocPitch, cuMemAllocManaged, cuMemFree and their stream-ordered kin.
#include <limits>

#include "hooks/hooks.h"
#include "hooks/memory_common.h"
#include "memory/pools.h"
#include "reach/host_ranges.h"
#include "streams/streams.h"

namespace loretoken::hooks {
namespace {

// What cuMemAllocPitch pads rows to on every card that has VMM.
constexpr size_t kPitch = 512;

// The device on which stream-ordered memory for the slot is made.
DeviceRuntime* device_of(const StreamSlot& slot) {
  DeviceRuntime* current = serving_device();
  if (current == nullptr || current->ordinal == slot.device) return current;
  return Runtime::get()->device(slot.device);
}

}  // namespace

CUresult cuMemAlloc_v2(CUdeviceptr* dptr, size_t bytesize) {
  DeviceRuntime* device = dptr == nullptr || bytesize == 0 ? nullptr : serving_device();
  if (device == nullptr) return driver().cuMemAlloc_v2(dptr, bytesize);
  return device->heap->allocate(bytesize, nullptr, nullptr, dptr);
}

CUresult cuMemAllocPitch_v2(CUdeviceptr* dptr, size_t* pitch, size_t width, size_t height, unsigned int element) {
  constexpr size_t kMax = std::numeric_limits<int>::max();  // CU_DEVICE_ATTRIBUTE_MAX_PITCH
  const bool valid = dptr != nullptr && pitch != nullptr && width != 0 && height != 0 && width <= kMax - kPitch &&
                     height <= kMax && (element == 4 || element == 8 || element == 16);
  DeviceRuntime* device = valid ? serving_device() : nullptr;
  if (device == nullptr) return driver().cuMemAllocPitch_v2(dptr, pitch, width, height, element);
  const size_t padded = (width + kPitch - 1) / kPitch * kPitch;
  const CUresult result = device->heap->allocate(padded * height, nullptr, nullptr, dptr);
  if (result == CUDA_SUCCESS) *pitch = padded;
  return result;
}

CUresult cuMemAllocManaged(CUdeviceptr* dptr, size_t bytesize, unsigned int flags) {
  const CUresult result = driver().cuMemAllocManaged(dptr, bytesize, flags);
  if (result == CUDA_SUCCESS && Runtime::get() != nullptr) {
    known_range_add(*dptr, *dptr, bytesize, RangeKind::kManaged);
  }
  return result;
}

CUresult cuMemFree_v2(CUdeviceptr dptr) {
  if (DeviceRuntime* owner = owner_of(dptr)) return owner->heap->free(dptr, nullptr);
  if (Runtime::get() == nullptr) return driver().cuMemFree_v2(dptr);
  const std::optional<KnownRange> managed = known_range_at(dptr);
  const bool known = managed && managed->base == dptr && managed->kind == RangeKind::kManaged;
  if (known) known_range_remove(dptr);
  const CUresult result = driver().cuMemFree_v2(dptr);
  if (known && result != CUDA_SUCCESS) known_range_add(dptr, dptr, managed->bytes, RangeKind::kManaged);
  return result;
}

CUresult cuMemAllocAsync(CUdeviceptr* dptr, size_t bytesize, CUstream stream, bool per_thread) {
  const auto real = LORETOKEN_REAL_PT(cuMemAllocAsync, cuMemAllocAsync_ptsz, per_thread);
  if (dptr == nullptr || bytesize == 0 || serving_device() == nullptr) return real(dptr, bytesize, stream);
  StreamSlot& slot = streams().slot_of(stream, per_thread);
  // Inside a capture the memory belongs to the graph.
  if (streams().capturing(slot)) return real(dptr, bytesize, stream);
  DeviceRuntime* device = device_of(slot);
  CUmemoryPool pool = device == nullptr ? nullptr : device->pools->current();
  if (pool == nullptr) return real(dptr, bytesize, stream);
  return device->heap->allocate(bytesize, &slot, pool, dptr);
}

CUresult cuMemAllocFromPoolAsync(CUdeviceptr* dptr, size_t bytesize, CUmemoryPool pool, CUstream stream,
                                 bool per_thread) {
  const auto real = LORETOKEN_REAL_PT(cuMemAllocFromPoolAsync, cuMemAllocFromPoolAsync_ptsz, per_thread);
  const bool valid = dptr != nullptr && bytesize != 0 && pool != nullptr && serving_device() != nullptr;
  DeviceRuntime* device = valid ? runtime_of(pool) : nullptr;
  if (device == nullptr) return real(dptr, bytesize, pool, stream);
  StreamSlot& slot = streams().slot_of(stream, per_thread);
  if (streams().capturing(slot)) return real(dptr, bytesize, pool, stream);
  return device->heap->allocate(bytesize, &slot, pool, dptr);
}

CUresult cuMemFreeAsync(CUdeviceptr dptr, CUstream stream, bool per_thread) {
  DeviceRuntime* owner = owner_of(dptr);
  if (owner == nullptr) return LORETOKEN_REAL_PT(cuMemFreeAsync, cuMemFreeAsync_ptsz, per_thread)(dptr, stream);
  StreamSlot& slot = streams().slot_of(stream, per_thread);
  // A graph may free only what graphs allocated.
  if (streams().capturing(slot)) return CUDA_ERROR_INVALID_VALUE;
  return owner->heap->free(dptr, &slot);
}

}  // namespace loretoken::hooks
