// NVML's memory queries: as the enlarged card, for devices this process computes on.
#include <string.h>

#include <algorithm>

#include "driver/uuid.h"
#include "hooks/hooks.h"
#include "memory/heap.h"
#include "memory/physical.h"
#include "runtime/runtime.h"

namespace loretoken::hooks {
namespace {

// The driver's ordinal of an NVML device, -1: not a device of this process (or the driver was not initialised).
int ordinal_of(nvmlDevice_t device) {
  char wanted[kUuidText] = {};
  if (nvml().nvmlDeviceGetUUID == nullptr || nvml().nvmlDeviceGetUUID(device, wanted, sizeof wanted) != NVML_SUCCESS) {
    return -1;
  }
  int count = 0;
  if (driver().cuDeviceGetCount == nullptr || driver().cuDeviceGetCount(&count) != CUDA_SUCCESS) return -1;
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    char text[kUuidText];
    if (uuid_text(ordinal, &text) && strcmp(text, wanted) == 0) return ordinal;
  }
  return -1;
}

struct Answer {
  uint64_t total;
  uint64_t used;
};

bool enlarged(nvmlDevice_t device, Answer* answer) {
  Runtime* runtime = Runtime::get();
  if (runtime == nullptr) return false;
  const int ordinal = ordinal_of(device);
  uint64_t limit = 0;
  if (ordinal < 0 || !runtime->sizes_of(ordinal, &limit, &answer->total)) return false;
  const DeviceRuntime* ours = runtime->device(ordinal);
  const uint64_t used = ours == nullptr ? 0 : ours->heap->live_bytes() + ours->physical->foreign();
  answer->used = std::min(used, answer->total);
  return true;
}

}  // namespace

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t* memory) {
  const nvmlReturn_t result = nvml().nvmlDeviceGetMemoryInfo(device, memory);
  Answer answer{};
  if (result != NVML_SUCCESS || !enlarged(device, &answer)) return result;
  *memory = {answer.total, answer.total - answer.used, answer.used};
  return result;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t* memory) {
  const nvmlReturn_t result = nvml().nvmlDeviceGetMemoryInfo_v2(device, memory);
  Answer answer{};
  if (result != NVML_SUCCESS || !enlarged(device, &answer)) return result;
  memory->reserved = std::min<uint64_t>(memory->reserved, answer.total - answer.used);
  memory->total = answer.total;
  memory->used = answer.used;
  memory->free = answer.total - answer.used - memory->reserved;
  return result;
}

}  // namespace loretoken::hooks
