// Event sets: XIDs that are injected, and uncorrected ECC errors when their number rises.
#include <chrono>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "library.h"

using namespace loretoken::sim;
using namespace loretoken::sim::nvml;

namespace {

constexpr auto kPollInterval = std::chrono::milliseconds(10);
constexpr unsigned long long kSupported = NVML_EVENT_XID_CRITICAL_ERROR | NVML_EVENT_DOUBLE_BIT_ECC_ERROR;

struct Registration {
  int device;
  unsigned long long types;
  size_t next_xid;
  uint64_t ecc_errors;  // told so far
};

std::mutex mutex;

}  // namespace

struct nvmlEventSet_st {
  std::vector<Registration> registrations;
};

namespace {

std::set<nvmlEventSet_t>& living() {
  static auto* sets = new std::set<nvmlEventSet_t>;  // outlives the exit handlers
  return *sets;
}

// The next event of one registration; false when there is none. With the mutex.
bool next_event(Registration& entry, const std::vector<inject::Xid>& xids, nvmlEventData_t* data) {
  *data = {handle_of(entry.device), 0, 0, NVML_NO_INSTANCE, NVML_NO_INSTANCE};
  if (entry.types & NVML_EVENT_XID_CRITICAL_ERROR) {
    while (entry.next_xid < xids.size()) {
      const inject::Xid& xid = xids[entry.next_xid++];
      if (xid.device != entry.device) continue;
      data->eventType = NVML_EVENT_XID_CRITICAL_ERROR;
      data->eventData = xid.code;
      return true;
    }
  }
  const uint64_t errors = inject::health(entry.device).ecc_errors;
  const bool risen = errors > entry.ecc_errors;
  entry.ecc_errors = errors;
  if (!risen || !(entry.types & NVML_EVENT_DOUBLE_BIT_ECC_ERROR)) return false;
  data->eventType = NVML_EVENT_DOUBLE_BIT_ECC_ERROR;
  return true;
}

nvmlReturn_t poll(nvmlEventSet_t set, nvmlEventData_t* data) {
  const std::vector<inject::Xid> xids = inject::xids();
  std::lock_guard lock(mutex);
  if (!living().count(set)) return NVML_ERROR_INVALID_ARGUMENT;
  nvmlEventData_t found;
  for (Registration& entry : set->registrations) {
    if (!next_event(entry, xids, &found)) continue;
    *data = found;
    return NVML_SUCCESS;
  }
  return NVML_ERROR_TIMEOUT;
}

}  // namespace

NVML_EXPORT nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t* set) {
  if (!initialised()) return NVML_ERROR_UNINITIALIZED;
  if (!set) return NVML_ERROR_INVALID_ARGUMENT;
  *set = new nvmlEventSet_st;
  std::lock_guard lock(mutex);
  living().insert(*set);
  return NVML_SUCCESS;
}

NVML_EXPORT nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set) {
  if (!initialised()) return NVML_ERROR_UNINITIALIZED;
  std::lock_guard lock(mutex);
  if (living().erase(set) == 0) return NVML_ERROR_INVALID_ARGUMENT;
  delete set;
  return NVML_SUCCESS;
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetSupportedEventTypes(nvmlDevice_t device, unsigned long long* types) {
  return give(device, types, kSupported);
}

// Only what happens from now on is reported.
NVML_EXPORT nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t device, unsigned long long types, nvmlEventSet_t set) {
  const nvmlReturn_t status = check(device);
  if (status != NVML_SUCCESS) return status;
  if (types & ~kSupported) return NVML_ERROR_NOT_SUPPORTED;
  const size_t told = inject::xids().size();
  const int index = index_of(device);
  std::lock_guard lock(mutex);
  if (!living().count(set)) return NVML_ERROR_INVALID_ARGUMENT;
  for (Registration& entry : set->registrations) {
    if (entry.device != index) continue;
    entry.types |= types;
    return NVML_SUCCESS;
  }
  set->registrations.push_back({index, types, told, inject::health(index).ecc_errors});
  return NVML_SUCCESS;
}

NVML_EXPORT nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t* data, unsigned milliseconds) {
  if (!initialised()) return NVML_ERROR_UNINITIALIZED;
  if (!data) return NVML_ERROR_INVALID_ARGUMENT;
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
  for (;;) {
    const nvmlReturn_t status = poll(set, data);
    if (status != NVML_ERROR_TIMEOUT || std::chrono::steady_clock::now() >= end) return status;
    std::this_thread::sleep_for(kPollInterval);
  }
}

NVML_EXPORT nvmlReturn_t nvmlEventSetWait(nvmlEventSet_t set, nvmlEventData_t* data, unsigned milliseconds) {
  return nvmlEventSetWait_v2(set, data, milliseconds);
}
