#include "hooks/memory_common.h"

#include "residency/residency.h"

namespace loretoken {

DeviceRuntime* serving_device() {
  Runtime* runtime = Runtime::get();
  if (runtime == nullptr) return nullptr;
  return runtime->current_device();
}

DeviceRuntime* owner_of(CUdeviceptr address) {
  Runtime* runtime = Runtime::get();
  if (runtime == nullptr) return nullptr;
  const Unit* unit = unit_at(address);
  return unit == nullptr ? nullptr : runtime->device(unit->device);
}

std::optional<AllocationInfo> allocation_at(CUdeviceptr address) {
  DeviceRuntime* owner = owner_of(address);
  if (owner == nullptr) return std::nullopt;
  std::optional<AllocationInfo> info = owner->heap->find(address);
  if (info && address - info->base >= info->bytes) return std::nullopt;
  return info;
}

CUresult pin_range(CUdeviceptr address, uint64_t bytes, Pin reason) {
  DeviceRuntime* owner = owner_of(address);
  if (owner == nullptr) return CUDA_SUCCESS;
  std::vector<Unit*> units;
  owner->heap->units_of(address, bytes, &units);
  for (Unit* unit : units) {
    if (const CUresult result = owner->residency->pin(*unit, reason); result != CUDA_SUCCESS) return result;
  }
  return CUDA_SUCCESS;
}

}  // namespace loretoken
