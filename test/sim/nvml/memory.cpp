// Memory and the processes that hold it, as the programs on the simulated driver report it through the board.
#include <vector>

#include "library.h"

using namespace loretoken::sim;
using namespace loretoken::sim::nvml;

namespace {

struct Figures {
  uint64_t total, used;
};

Figures figures(nvmlDevice_t device) {
  Figures result{card_of(device).memory_bytes, 0};
  for (const board::Use& use : board::uses(index_of(device))) result.used += use.bytes;
  if (result.used > result.total) result.used = result.total;
  return result;
}

void fill(nvmlProcessInfo_v1_t& info, const board::Use& use) {
  info = {use.pid, use.bytes};
}

void fill(nvmlProcessInfo_v2_t& info, const board::Use& use) {
  info = {use.pid, use.bytes, NVML_NO_INSTANCE, NVML_NO_INSTANCE};
}

// NVML's contract: *count is the room on entry and the number of processes on return; too little room is
// INSUFFICIENT_SIZE and nothing is written.
template <class Info>
nvmlReturn_t list(nvmlDevice_t device, unsigned* count, Info* infos, const std::vector<board::Use>& uses) {
  const unsigned room = *count;
  *count = static_cast<unsigned>(uses.size());
  if (uses.empty()) return NVML_SUCCESS;
  if (room < uses.size()) return NVML_ERROR_INSUFFICIENT_SIZE;
  if (!infos) return NVML_ERROR_INVALID_ARGUMENT;
  for (size_t i = 0; i < uses.size(); ++i) fill(infos[i], uses[i]);
  return check(device);
}

template <class Info>
nvmlReturn_t compute(nvmlDevice_t device, unsigned* count, Info* infos) {
  const nvmlReturn_t status = check(device, count);
  return status == NVML_SUCCESS ? list(device, count, infos, board::uses(index_of(device))) : status;
}

template <class Info>
nvmlReturn_t none(nvmlDevice_t device, unsigned* count, Info* infos) {
  const nvmlReturn_t status = check(device, count);
  return status == NVML_SUCCESS ? list(device, count, infos, {}) : status;
}

}  // namespace

NVML_EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t* memory) {
  const nvmlReturn_t status = check(device, memory);
  if (status != NVML_SUCCESS) return status;
  const Figures now = figures(device);
  *memory = {now.total, now.total - now.used, now.used};
  return NVML_SUCCESS;
}

// A simulated card reserves nothing for itself.
NVML_EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t* memory) {
  const nvmlReturn_t status = check(device, memory);
  if (status != NVML_SUCCESS) return status;
  const unsigned version = NVML_STRUCT_VERSION(sizeof(nvmlMemory_v2_t), 2u);
  if (memory->version != version) return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
  const Figures now = figures(device);
  *memory = {version, now.total, 0, now.total - now.used, now.used};
  return NVML_SUCCESS;
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t device, nvmlBAR1Memory_t* memory) {
  constexpr unsigned long long kBar1 = 256ull << 30;
  return give(device, memory, nvmlBAR1Memory_t{kBar1, kBar1, 0});
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned* count,
                                                                 nvmlProcessInfo_v2_t* infos) {
  return compute(device, count, infos);
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v2(nvmlDevice_t device, unsigned* count,
                                                                 nvmlProcessInfo_v2_t* infos) {
  return compute(device, count, infos);
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetComputeRunningProcesses(nvmlDevice_t device, unsigned* count,
                                                              nvmlProcessInfo_v1_t* infos) {
  return compute(device, count, infos);
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t device, unsigned* count,
                                                                  nvmlProcessInfo_v2_t* infos) {
  return none(device, count, infos);
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v2(nvmlDevice_t device, unsigned* count,
                                                                  nvmlProcessInfo_v2_t* infos) {
  return none(device, count, infos);
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses(nvmlDevice_t device, unsigned* count,
                                                               nvmlProcessInfo_v1_t* infos) {
  return none(device, count, infos);
}
