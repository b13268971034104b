// What the memory hooks share.
#pragma once

#include <optional>

#include "driver/driver.h"
#include "memory/heap.h"
#include "memory/page_table.h"
#include "runtime/runtime.h"

namespace loretoken {

// The device that serves allocations of the current context, set up if needed; nullptr: pass the call through.
DeviceRuntime* serving_device();
// The device whose reservation the address lies in; nullptr: not ours.
DeviceRuntime* owner_of(CUdeviceptr address);
// The live allocation that contains the address; one that only ends there does not.
std::optional<AllocationInfo> allocation_at(CUdeviceptr address);
// Makes raw and keeps raw everything that [address, address + bytes) touches.
CUresult pin_range(CUdeviceptr address, uint64_t bytes, Pin reason);

}  // namespace loretoken
