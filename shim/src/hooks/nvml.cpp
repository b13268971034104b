// NVML's memory queries: as the enlarged card, for devices this process computes on.
#include <stdio.h>
#include <string.h>

#include <algorithm>

#include "hooks/hooks.h"
#include "memory/heap.h"
#include "memory/physical.h"
#include "runtime/runtime.h"

namespace loretoken::hooks {
namespace {

constexpr size_t kUuidText = 96;  // NVML_DEVICE_UUID_V2_BUFFER_SIZE

void format_uuid(const CUuuid& uuid, char* text, size_t capacity) {
  unsigned char b[16];
  memcpy(b, uuid.bytes, sizeof b);
  snprintf(text, capacity, "GPU-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2],
           b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

// The driver's ordinal of an NVML device, -1: not a device of this process (or the driver was not initialised).
int ordinal_of(nvmlDevice_t device) {
  char wanted[kUuidText] = {};
  if (nvml().nvmlDeviceGetUUID == nullptr || nvml().nvmlDeviceGetUUID(device, wanted, sizeof wanted) != NVML_SUCCESS) {
    return -1;
  }
  int count = 0;
  if (driver().cuDeviceGetCount == nullptr || driver().cuDeviceGetCount(&count) != CUDA_SUCCESS) return -1;
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    CUuuid uuid{};
    char text[kUuidText];
    if (driver().cuDeviceGetUuid(&uuid, ordinal) != CUDA_SUCCESS) continue;
    format_uuid(uuid, text, sizeof text);
    if (strcmp(text, wanted) == 0) return ordinal;
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
