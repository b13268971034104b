// Start, end, versions, and who the devices are.
#include "library.h"

#include <strings.h>

#include <atomic>
#include <cstdio>
#include <cstring>

namespace loretoken::sim::nvml {

namespace {
std::atomic<int> references{0};
}
}  // namespace loretoken::sim::nvml

// A device handle is the address of its element.
struct nvmlDevice_st {
  char unused;
};

namespace loretoken::sim::nvml {

namespace {
nvmlDevice_st devices[board::kMaxDevices];
}

bool initialised() {
  return references.load() > 0;
}

int index_of(nvmlDevice_t device) {
  for (size_t i = 0; i < board::cards().size(); ++i)
    if (device == &devices[i]) return static_cast<int>(i);
  return -1;
}

nvmlDevice_t handle_of(int index) {
  return &devices[index];
}

const board::Card& card_of(nvmlDevice_t device) {
  return board::cards()[static_cast<size_t>(index_of(device))];
}

nvmlReturn_t check(nvmlDevice_t device) {
  if (!initialised()) return NVML_ERROR_UNINITIALIZED;
  return index_of(device) < 0 ? NVML_ERROR_INVALID_ARGUMENT : NVML_SUCCESS;
}

nvmlReturn_t give_text(const std::string& text, char* out, unsigned length) {
  if (!out) return NVML_ERROR_INVALID_ARGUMENT;
  if (length < text.size() + 1) return NVML_ERROR_INSUFFICIENT_SIZE;
  std::memcpy(out, text.c_str(), text.size() + 1);
  return NVML_SUCCESS;
}

namespace {

template <class Matches>
nvmlReturn_t find(nvmlDevice_t* device, Matches matches) {
  if (!device) return NVML_ERROR_INVALID_ARGUMENT;
  const auto& cards = board::cards();
  for (size_t i = 0; i < cards.size(); ++i) {
    if (!matches(cards[i])) continue;
    *device = handle_of(static_cast<int>(i));
    return NVML_SUCCESS;
  }
  return NVML_ERROR_NOT_FOUND;
}

nvmlReturn_t find_by_bus(const char* bus, nvmlDevice_t* device) {
  if (!initialised()) return NVML_ERROR_UNINITIALIZED;
  unsigned domain = 0, number = 0, slot = 0;
  if (!bus) return NVML_ERROR_INVALID_ARGUMENT;
  if (std::sscanf(bus, "%x:%x:%x", &domain, &number, &slot) != 3) {
    domain = 0;
    if (std::sscanf(bus, "%x:%x", &number, &slot) != 2) return NVML_ERROR_INVALID_ARGUMENT;
  }
  return find(device, [&](const board::Card& card) {
    return card.pci_domain == domain && card.pci_bus == number && card.pci_device == slot;
  });
}

}  // namespace
}  // namespace loretoken::sim::nvml

using namespace loretoken::sim;
using namespace loretoken::sim::nvml;

NVML_EXPORT nvmlReturn_t nvmlInitWithFlags(unsigned) {
  references.fetch_add(1);
  return NVML_SUCCESS;
}

NVML_EXPORT nvmlReturn_t nvmlInit_v2() {
  return nvmlInitWithFlags(0);
}

NVML_EXPORT nvmlReturn_t nvmlInit() {
  return nvmlInitWithFlags(0);
}

NVML_EXPORT nvmlReturn_t nvmlShutdown() {
  int now = references.load();
  while (now > 0)
    if (references.compare_exchange_weak(now, now - 1)) return NVML_SUCCESS;
  return NVML_ERROR_UNINITIALIZED;
}

NVML_EXPORT const char* nvmlErrorString(nvmlReturn_t result) {
  switch (result) {
    case NVML_SUCCESS:
      return "Success";
    case NVML_ERROR_UNINITIALIZED:
      return "Uninitialized";
    case NVML_ERROR_INVALID_ARGUMENT:
      return "Invalid Argument";
    case NVML_ERROR_NOT_SUPPORTED:
      return "Not Supported";
    case NVML_ERROR_NO_PERMISSION:
      return "Insufficient Permissions";
    case NVML_ERROR_ALREADY_INITIALIZED:
      return "Already Initialized";
    case NVML_ERROR_NOT_FOUND:
      return "Not Found";
    case NVML_ERROR_INSUFFICIENT_SIZE:
      return "Insufficient Size";
    case NVML_ERROR_DRIVER_NOT_LOADED:
      return "Driver Not Loaded";
    case NVML_ERROR_TIMEOUT:
      return "Timeout";
    case NVML_ERROR_GPU_IS_LOST:
      return "GPU is lost";
    case NVML_ERROR_ARGUMENT_VERSION_MISMATCH:
      return "Argument version mismatch";
    default:
      return "Unknown Error";
  }
}

NVML_EXPORT nvmlReturn_t nvmlSystemGetDriverVersion(char* version, unsigned length) {
  return initialised() ? give_text(board::kDriverText, version, length) : NVML_ERROR_UNINITIALIZED;
}

NVML_EXPORT nvmlReturn_t nvmlSystemGetNVMLVersion(char* version, unsigned length) {
  return give_text(std::string("13.") + board::kDriverText, version, length);
}

NVML_EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int* version) {
  if (!version) return NVML_ERROR_INVALID_ARGUMENT;
  *version = board::kDriverVersion;
  return NVML_SUCCESS;
}

NVML_EXPORT nvmlReturn_t nvmlSystemGetCudaDriverVersion(int* version) {
  return nvmlSystemGetCudaDriverVersion_v2(version);
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetCount_v2(unsigned* count) {
  if (!initialised()) return NVML_ERROR_UNINITIALIZED;
  if (!count) return NVML_ERROR_INVALID_ARGUMENT;
  *count = static_cast<unsigned>(board::cards().size());
  return NVML_SUCCESS;
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetCount(unsigned* count) {
  return nvmlDeviceGetCount_v2(count);
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t* device) {
  if (!initialised()) return NVML_ERROR_UNINITIALIZED;
  if (!device || index >= board::cards().size()) return NVML_ERROR_INVALID_ARGUMENT;
  *device = handle_of(static_cast<int>(index));
  return NVML_SUCCESS;
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned index, nvmlDevice_t* device) {
  return nvmlDeviceGetHandleByIndex_v2(index, device);
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetHandleByUUID(const char* uuid, nvmlDevice_t* device) {
  if (!initialised()) return NVML_ERROR_UNINITIALIZED;
  if (!uuid) return NVML_ERROR_INVALID_ARGUMENT;
  return find(device, [&](const board::Card& card) { return strcasecmp(board::uuid_text(card).c_str(), uuid) == 0; });
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char* bus, nvmlDevice_t* device) {
  return find_by_bus(bus, device);
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetHandleByPciBusId(const char* bus, nvmlDevice_t* device) {
  return find_by_bus(bus, device);
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char* name, unsigned length) {
  const nvmlReturn_t status = check(device);
  return status == NVML_SUCCESS ? give_text(card_of(device).name, name, length) : status;
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char* uuid, unsigned length) {
  const nvmlReturn_t status = check(device);
  return status == NVML_SUCCESS ? give_text(board::uuid_text(card_of(device)), uuid, length) : status;
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetIndex(nvmlDevice_t device, unsigned* index) {
  return give(device, index, static_cast<unsigned>(index_of(device)));
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetMinorNumber(nvmlDevice_t device, unsigned* minor) {
  return give(device, minor, static_cast<unsigned>(index_of(device)));
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t* info) {
  const nvmlReturn_t status = check(device, info);
  if (status != NVML_SUCCESS) return status;
  const board::Card& card = card_of(device);
  *info = {};
  info->domain = card.pci_domain;
  info->bus = card.pci_bus;
  info->device = card.pci_device;
  info->pciDeviceId = 0x233510de;
  std::snprintf(info->busIdLegacy, sizeof info->busIdLegacy, "%04X:%02X:%02X.0", card.pci_domain & 0xffff,
                card.pci_bus & 0xff, card.pci_device & 0xff);
  std::snprintf(info->busId, sizeof info->busId, "%s", board::bus_text(card).c_str());
  return NVML_SUCCESS;
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetPciInfo_v2(nvmlDevice_t device, nvmlPciInfo_t* info) {
  return nvmlDeviceGetPciInfo_v3(device, info);
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetPciInfo(nvmlDevice_t device, nvmlPciInfo_t* info) {
  return nvmlDeviceGetPciInfo_v3(device, info);
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int* major, int* minor) {
  const nvmlReturn_t status = check(device, major, minor);
  if (status != NVML_SUCCESS) return status;
  *major = card_of(device).major;
  *minor = card_of(device).minor;
  return NVML_SUCCESS;
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetArchitecture(nvmlDevice_t device, unsigned* architecture) {
  return give(device, architecture, NVML_DEVICE_ARCH_HOPPER);
}
