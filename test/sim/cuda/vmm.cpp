// Virtual memory management: reservations, physical handles, mappings, access.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "allocate.h"
#include "api.h"
#include "handle.h"

namespace loretoken::sim {

namespace {

void* at(uintptr_t address) {
  return reinterpret_cast<void*>(address);
}

bool aligned(uint64_t value) {
  return value % kGranularity == 0;
}

void map_none(uintptr_t base, uint64_t size) {
  mmap(at(base), size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
}

// True when one reservation covers the range.
bool reserved(uintptr_t base, uint64_t size) {
  auto& all = state().reservations;
  auto it = all.upper_bound(base);
  if (it == all.begin()) return false;
  --it;
  return base - it->first <= it->second && size <= it->second - (base - it->first);
}

// The mappings that fill the range exactly, in order; empty when there is a hole or one is cut.
std::vector<Mapping*> whole_mappings(uintptr_t base, uint64_t size) {
  std::vector<Mapping*> found;
  uintptr_t next = base;
  for (auto it = state().mappings.find(base); it != state().mappings.end() && next < base + size; ++it) {
    if (it->first != next || it->second.size > base + size - next) return {};
    found.push_back(&it->second);
    next += it->second.size;
  }
  if (next != base + size) return {};
  return found;
}

bool overlaps_mapping(uintptr_t base, uint64_t size) {
  auto it = state().mappings.lower_bound(base);
  return find_mapping(base) || (it != state().mappings.end() && it->first < base + size);
}

// The strongest access anyone has: pages of one process cannot differ by device.
int protection(const Mapping& mapping) {
  int best = mapping.host_access;
  for (auto& [device, flags] : mapping.access) best = std::max<int>(best, flags);
  if (best == CU_MEM_ACCESS_FLAGS_PROT_READWRITE) return PROT_READ | PROT_WRITE;
  return best == CU_MEM_ACCESS_FLAGS_PROT_READ ? PROT_READ : PROT_NONE;
}

// Whether the memory was written when it was created, so that its pages are there.
bool committed(const Mapping& mapping) {
  const Device* device = mapping.handle->device >= 0 ? find_device(mapping.handle->device) : nullptr;
  return device && device->memory.poisons();
}

}  // namespace

}  // namespace loretoken::sim

using namespace loretoken::sim;

extern "C" {

CUresult cuMemAddressReserve(CUdeviceptr* out, size_t size, size_t alignment, CUdeviceptr hint,
                             unsigned long long flags) {
  SIM_API_LOCKED(cuMemAddressReserve, kInit);
  if (!out || !size || !aligned(size) || !aligned(hint) || flags || (alignment & (alignment - 1)))
    return CUDA_ERROR_INVALID_VALUE;
  alignment = std::max<size_t>(alignment, kGranularity);
  if (hint && hint % alignment == 0) {
    void* got =
        mmap(at(hint), size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (got == at(hint)) {
      state().reservations[hint] = size;
      *out = hint;
      return CUDA_SUCCESS;
    }
    if (got != MAP_FAILED) munmap(got, size);
  }
  void* room = mmap(nullptr, size + alignment, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (room == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
  const auto start = reinterpret_cast<uintptr_t>(room);
  const uintptr_t base = round_up(start, alignment);
  if (base > start) munmap(room, base - start);
  if (start + alignment > base) munmap(at(base + size), start + alignment - base);
  state().reservations[base] = size;
  *out = base;
  return CUDA_SUCCESS;
}

CUresult cuMemAddressFree(CUdeviceptr base, size_t size) {
  SIM_API_LOCKED(cuMemAddressFree, kInit);
  auto it = state().reservations.find(base);
  if (it == state().reservations.end() || it->second != size || overlaps_mapping(base, size))
    return CUDA_ERROR_INVALID_VALUE;
  munmap(at(base), size);
  state().reservations.erase(it);
  return CUDA_SUCCESS;
}

CUresult cuMemMap(CUdeviceptr base, size_t size, size_t offset, CUmemGenericAllocationHandle value,
                  unsigned long long flags) {
  SIM_API_LOCKED(cuMemMap, kInit);
  auto handle = state().handles.find(reinterpret_cast<void*>(value));
  if (!handle || !handle->refs || !base || !size || !aligned(base) || !aligned(size) || !aligned(offset) || flags)
    return CUDA_ERROR_INVALID_VALUE;
  if (offset || size != handle->size) return CUDA_ERROR_NOT_SUPPORTED;
  if (!reserved(base, size) || overlaps_mapping(base, size)) return CUDA_ERROR_INVALID_VALUE;
  void* got =
      mmap(at(base), size, PROT_NONE, MAP_SHARED | MAP_FIXED, handle_fd(*handle), static_cast<off_t>(handle->offset));
  if (got == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
  ++handle->maps;
  Mapping& mapping = state().mappings[base];
  mapping.base = base;
  mapping.size = size;
  mapping.handle = handle;
  mapping.buffer_id = state().next_id++;
  return CUDA_SUCCESS;
}

CUresult cuMemUnmap(CUdeviceptr base, size_t size) {
  SIM_API_LOCKED(cuMemUnmap, kInit);
  if (!base || !size || !aligned(base) || !aligned(size)) return CUDA_ERROR_INVALID_VALUE;
  if (!overlaps_mapping(base, size)) return reserved(base, size) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  auto mappings = whole_mappings(base, size);
  if (mappings.empty()) return CUDA_ERROR_INVALID_VALUE;
  map_none(base, size);
  for (Mapping* mapping : mappings) {
    auto handle = mapping->handle;
    --handle->maps;
    state().mappings.erase(mapping->base);
    drop_if_unused(handle);
  }
  return CUDA_SUCCESS;
}

CUresult cuMemSetAccess(CUdeviceptr base, size_t size, const CUmemAccessDesc* descriptions, size_t count) {
  SIM_API_LOCKED(cuMemSetAccess, kInit);
  if (!base || !size || !aligned(base) || !aligned(size) || !descriptions || !count) return CUDA_ERROR_INVALID_VALUE;
  bool for_host = false;
  for (size_t i = 0; i < count; ++i) {
    const auto& d = descriptions[i];
    const bool host = d.location.type == CU_MEM_LOCATION_TYPE_HOST || d.location.type == CU_MEM_LOCATION_TYPE_HOST_NUMA;
    if (!host && d.location.type != CU_MEM_LOCATION_TYPE_DEVICE) return CUDA_ERROR_INVALID_VALUE;
    if (!host && !find_device(d.location.id)) return CUDA_ERROR_INVALID_VALUE;
    if (d.flags != CU_MEM_ACCESS_FLAGS_PROT_NONE && d.flags != CU_MEM_ACCESS_FLAGS_PROT_READ &&
        d.flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE)
      return CUDA_ERROR_INVALID_VALUE;
    for_host |= host;
  }
  auto mappings = whole_mappings(base, size);
  if (mappings.empty()) return CUDA_ERROR_INVALID_VALUE;
  const bool device_memory = std::ranges::any_of(mappings, [](const Mapping* m) { return m->handle->device >= 0; });
  if (device_memory && for_host) return CUDA_ERROR_NOT_SUPPORTED;
  for (Mapping* mapping : mappings) {
    for (size_t i = 0; i < count; ++i) {
      const auto& d = descriptions[i];
      if (d.location.type == CU_MEM_LOCATION_TYPE_DEVICE) {
        mapping->access[d.location.id] = d.flags;
      } else {
        mapping->host_access = d.flags;
      }
    }
    const int allowed = protection(*mapping);
    mprotect(at(mapping->base), mapping->size, allowed);
    // A fault for each page would cost more than all of them at once. A kernel before 5.14 refuses.
    if ((allowed & PROT_WRITE) && committed(*mapping)) madvise(at(mapping->base), mapping->size, MADV_POPULATE_WRITE);
  }
  return CUDA_SUCCESS;
}

CUresult cuMemGetAccess(unsigned long long* flags, const CUmemLocation* location, CUdeviceptr address) {
  SIM_API_LOCKED(cuMemGetAccess, kInit);
  if (!flags || !location) return CUDA_ERROR_INVALID_VALUE;
  *flags = CU_MEM_ACCESS_FLAGS_PROT_NONE;
  Mapping* mapping = find_mapping(address);
  if (!mapping) return CUDA_ERROR_INVALID_VALUE;
  if (location->type != CU_MEM_LOCATION_TYPE_DEVICE) {
    *flags = mapping->host_access;
    return CUDA_SUCCESS;
  }
  if (!find_device(location->id)) return CUDA_ERROR_INVALID_DEVICE;
  auto it = mapping->access.find(location->id);
  *flags = it == mapping->access.end() ? CU_MEM_ACCESS_FLAGS_PROT_NONE : it->second;
  return CUDA_SUCCESS;
}

}  // extern "C"
