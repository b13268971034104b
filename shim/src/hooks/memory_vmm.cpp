// Memory that the program maps itself: device handles are charged to the limit while they are held or mapped, mapped
// ranges are known to pointer scans, everything stays raw.
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "hooks/hooks.h"
#include "hooks/memory_common.h"
#include "memory/peers.h"
#include "memory/physical.h"
#include "reach/host_ranges.h"
#include "residency/residency.h"

namespace loretoken::hooks {
namespace {

// A handle's memory lives while a reference or a mapping does, and is discharged with the last of them.
struct Memory {
  DeviceRuntime* device = nullptr;
  uint64_t bytes = 0;
  uint32_t references = 1;  // by handles
  ~Memory() { device->physical->discharge_foreign(bytes); }
};

struct Mapping {
  uint64_t bytes = 0;
  std::shared_ptr<Memory> memory;  // empty: memory we do not charge (host, imported, multicast)
};

struct Program {
  std::mutex mutex;
  std::unordered_map<CUmemGenericAllocationHandle, std::shared_ptr<Memory>> handles;
  std::map<CUdeviceptr, Mapping> mappings;
};

Program& program() {
  static auto* instance = new Program;
  return *instance;
}

}  // namespace

CUresult cuMemCreate(CUmemGenericAllocationHandle* handle, size_t size, const CUmemAllocationProp* prop,
                     unsigned long long flags) {
  const bool on_device = handle != nullptr && prop != nullptr && size != 0 &&
                         prop->location.type == CU_MEM_LOCATION_TYPE_DEVICE &&
                         prop->type == CU_MEM_ALLOCATION_TYPE_PINNED;
  Runtime* runtime = on_device ? Runtime::get() : nullptr;
  DeviceRuntime* device = runtime == nullptr ? nullptr : runtime->device(prop->location.id);
  if (device == nullptr && runtime != nullptr) {
    device = serving_device();
    if (device != nullptr && device->ordinal != prop->location.id) device = nullptr;
  }
  if (device == nullptr) return driver().cuMemCreate(handle, size, prop, flags);
  // Refused as a card of the virtual size would, then room is made as for our own memory.
  const uint64_t taken = device->heap->live_bytes() + device->physical->foreign();
  if (size > device->virtual_size || taken + size > device->virtual_size) return CUDA_ERROR_OUT_OF_MEMORY;
  if (const CUresult result = device->residency->find_room(size); result != CUDA_SUCCESS) {
    device->residency->refused(size);
    return result;
  }
  device->physical->charge_foreign(size);
  auto memory = std::make_shared<Memory>();
  memory->device = device;
  memory->bytes = size;
  const CUresult result = driver().cuMemCreate(handle, size, prop, flags);
  if (result != CUDA_SUCCESS) return result;  // `memory` takes the charge back
  Program& p = program();
  std::lock_guard lock(p.mutex);
  p.handles[*handle] = std::move(memory);
  return result;
}

CUresult cuMemRelease(CUmemGenericAllocationHandle handle) {
  Program& p = program();
  std::shared_ptr<Memory> last;
  {
    // Before the driver lets go: the handle's value may be another's right after.
    std::lock_guard lock(p.mutex);
    if (const auto it = p.handles.find(handle); it != p.handles.end() && --it->second->references == 0) {
      last = std::move(it->second);
      p.handles.erase(it);
    }
  }
  return driver().cuMemRelease(handle);
}

CUresult cuMemMap(CUdeviceptr ptr, size_t size, size_t offset, CUmemGenericAllocationHandle handle,
                  unsigned long long flags) {
  const CUresult result = driver().cuMemMap(ptr, size, offset, handle, flags);
  if (result != CUDA_SUCCESS || Runtime::get() == nullptr) return result;
  Program& p = program();
  std::lock_guard lock(p.mutex);
  const auto it = p.handles.find(handle);
  p.mappings[ptr] = {size, it == p.handles.end() ? nullptr : it->second};
  return result;
}

CUresult cuMemUnmap(CUdeviceptr ptr, size_t size) {
  Program& p = program();
  std::map<CUdeviceptr, Mapping> gone;
  {
    std::lock_guard lock(p.mutex);
    for (auto it = p.mappings.lower_bound(ptr); it != p.mappings.end() && it->first < ptr + size;) {
      gone.insert(p.mappings.extract(it++));
    }
  }
  // Scans must not read what is about to go.
  for (const auto& [base, mapping] : gone) known_range_remove(base);
  const CUresult result = driver().cuMemUnmap(ptr, size);
  if (result != CUDA_SUCCESS && !gone.empty()) {
    for (const auto& [base, mapping] : gone) known_range_add(base, base, mapping.bytes, RangeKind::kForeign);
    std::lock_guard lock(p.mutex);
    p.mappings.merge(gone);
  }
  return result;
}

CUresult cuMemSetAccess(CUdeviceptr ptr, size_t size, const CUmemAccessDesc* desc, size_t count) {
  const CUresult result = driver().cuMemSetAccess(ptr, size, desc, count);
  if (result != CUDA_SUCCESS || Runtime::get() == nullptr) return result;
  bool readable = false;
  for (size_t i = 0; i < count; ++i) {
    readable |= desc[i].location.type == CU_MEM_LOCATION_TYPE_DEVICE && desc[i].flags != CU_MEM_ACCESS_FLAGS_PROT_NONE;
  }
  Program& p = program();
  std::lock_guard lock(p.mutex);
  for (auto it = p.mappings.lower_bound(ptr); it != p.mappings.end() && it->first < ptr + size; ++it) {
    if (readable) known_range_add(it->first, it->first, it->second.bytes, RangeKind::kForeign);
  }
  return result;
}

CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle* handle, void* addr) {
  // As for memory of cuMemAlloc: there is no handle to be had.
  if (owner_of(reinterpret_cast<CUdeviceptr>(addr)) != nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = driver().cuMemRetainAllocationHandle(handle, addr);
  if (result != CUDA_SUCCESS || Runtime::get() == nullptr) return result;
  Program& p = program();
  std::lock_guard lock(p.mutex);
  const auto address = reinterpret_cast<CUdeviceptr>(addr);
  const auto behind = p.mappings.upper_bound(address);
  if (behind == p.mappings.begin()) return result;
  const Mapping& mapping = std::prev(behind)->second;
  if (address - std::prev(behind)->first >= mapping.bytes || mapping.memory == nullptr) return result;
  ++p.handles.try_emplace(*handle, mapping.memory).first->second->references;
  return result;
}

CUresult cuMemGetAccess(unsigned long long* flags, const CUmemLocation* location, CUdeviceptr ptr) {
  DeviceRuntime* owner = flags == nullptr || location == nullptr ? nullptr : owner_of(ptr);
  if (owner == nullptr) return driver().cuMemGetAccess(flags, location, ptr);
  if (location->type != CU_MEM_LOCATION_TYPE_DEVICE) return CUDA_ERROR_INVALID_VALUE;
  *flags = CU_MEM_ACCESS_FLAGS_PROT_NONE;
  for (const CUmemAccessDesc& access : access_for(owner->ordinal)) {
    if (access.location.id == location->id) *flags = access.flags;
  }
  return CUDA_SUCCESS;
}

}  // namespace loretoken::hooks
