// Device queries.
#include <cstdio>
#include <cstring>

#include "api.h"
#include "attributes.h"
#include "board.h"

using namespace loretoken::sim;

namespace {

const board::Card& card(CUdevice device) {
  return board::cards()[static_cast<size_t>(device)];
}

}  // namespace

extern "C" {

CUresult cuDeviceGet(CUdevice* out, int ordinal) {
  SIM_API(cuDeviceGet, kInit);
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  if (!find_device(ordinal)) return CUDA_ERROR_INVALID_DEVICE;
  *out = ordinal;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int* count) {
  SIM_API(cuDeviceGetCount, kInit);
  if (!count) return CUDA_ERROR_INVALID_VALUE;
  *count = static_cast<int>(state().devices.size());
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char* name, int length, CUdevice device) {
  SIM_API(cuDeviceGetName, kInit);
  if (!name || length <= 0) return CUDA_ERROR_INVALID_VALUE;
  if (!find_device(device)) return CUDA_ERROR_INVALID_DEVICE;
  std::snprintf(name, static_cast<size_t>(length), "%s", card(device).name.c_str());
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid_v2(CUuuid* uuid, CUdevice device) {
  SIM_API(cuDeviceGetUuid_v2, kInit);
  if (!uuid) return CUDA_ERROR_INVALID_VALUE;
  if (!find_device(device)) return CUDA_ERROR_INVALID_DEVICE;
  std::memcpy(uuid->bytes, card(device).uuid, sizeof uuid->bytes);
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid(CUuuid* uuid, CUdevice device) {
  return cuDeviceGetUuid_v2(uuid, device);
}

CUresult cuDeviceGetLuid(char*, unsigned int*, CUdevice) {
  SIM_API(cuDeviceGetLuid, kInit);
  return CUDA_ERROR_NOT_SUPPORTED;
}

CUresult cuDeviceTotalMem_v2(size_t* bytes, CUdevice device) {
  SIM_API(cuDeviceTotalMem_v2, kInit);
  if (!bytes) return CUDA_ERROR_INVALID_VALUE;
  Device* found = find_device(device);
  if (!found) return CUDA_ERROR_INVALID_DEVICE;
  *bytes = found->memory.capacity();
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice device) {
  SIM_API(cuDeviceGetAttribute, kInit);
  if (!value) return CUDA_ERROR_INVALID_VALUE;
  if (!find_device(device)) return CUDA_ERROR_INVALID_DEVICE;
  if (attribute < 1 || attribute >= CU_DEVICE_ATTRIBUTE_MAX) return CUDA_ERROR_INVALID_VALUE;
  switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_PCI_BUS_ID:
      *value = static_cast<int>(card(device).pci_bus);
      break;
    case CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID:
      *value = static_cast<int>(card(device).pci_device);
      break;
    case CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID:
      *value = static_cast<int>(card(device).pci_domain);
      break;
    default:
      *value = device_attribute(attribute);
  }
  return CUDA_SUCCESS;
}

CUresult cuDeviceComputeCapability(int* major, int* minor, CUdevice device) {
  SIM_API(cuDeviceComputeCapability, kInit);
  if (!major || !minor) return CUDA_ERROR_INVALID_VALUE;
  if (!find_device(device)) return CUDA_ERROR_INVALID_DEVICE;
  *major = card(device).major;
  *minor = card(device).minor;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetProperties(CUdevprop* p, CUdevice device) {
  SIM_API(cuDeviceGetProperties, kInit);
  if (!p) return CUDA_ERROR_INVALID_VALUE;
  if (!find_device(device)) return CUDA_ERROR_INVALID_DEVICE;
  *p = {1024, {1024, 1024, 64}, {2147483647, 65535, 65535}, 49152, 65536, 32, 2147483647, 65536, 1980000, 512};
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetPCIBusId(char* text, int length, CUdevice device) {
  SIM_API(cuDeviceGetPCIBusId, kInit);
  if (!text || length <= 0) return CUDA_ERROR_INVALID_VALUE;
  if (!find_device(device)) return CUDA_ERROR_INVALID_DEVICE;
  const auto& c = card(device);
  std::snprintf(text, static_cast<size_t>(length), "%04X:%02X:%02X.0", c.pci_domain, c.pci_bus, c.pci_device);
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetByPCIBusId(CUdevice* out, const char* text) {
  SIM_API(cuDeviceGetByPCIBusId, kInit);
  if (!out || !text) return CUDA_ERROR_INVALID_VALUE;
  unsigned domain = 0, bus = 0, slot = 0;
  if (std::sscanf(text, "%x:%x:%x", &domain, &bus, &slot) != 3) {
    domain = 0;
    if (std::sscanf(text, "%x:%x", &bus, &slot) != 2) return CUDA_ERROR_INVALID_VALUE;
  }
  for (size_t i = 0; i < state().devices.size(); ++i) {
    const auto& c = board::cards()[i];
    if (c.pci_domain != domain || c.pci_bus != bus || c.pci_device != slot) continue;
    *out = static_cast<CUdevice>(i);
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_INVALID_DEVICE;
}

CUresult cuDeviceGetP2PAttribute(int* value, CUdevice_P2PAttribute attribute, CUdevice source, CUdevice target) {
  SIM_API(cuDeviceGetP2PAttribute, kInit);
  if (!value || attribute < 1 || attribute > CU_DEVICE_P2P_ATTRIBUTE_ONLY_PARTIAL_NATIVE_ATOMIC_SUPPORTED)
    return CUDA_ERROR_INVALID_VALUE;
  if (!find_device(source) || !find_device(target) || source == target) return CUDA_ERROR_INVALID_DEVICE;
  *value = attribute == CU_DEVICE_P2P_ATTRIBUTE_PERFORMANCE_RANK ||
                   attribute == CU_DEVICE_P2P_ATTRIBUTE_ONLY_PARTIAL_NATIVE_ATOMIC_SUPPORTED
               ? 0
               : 1;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetTexture1DLinearMaxWidth(size_t* width, CUarray_format, unsigned, CUdevice device) {
  SIM_API(cuDeviceGetTexture1DLinearMaxWidth, kInit);
  if (!width) return CUDA_ERROR_INVALID_VALUE;
  if (!find_device(device)) return CUDA_ERROR_INVALID_DEVICE;
  *width = 1u << 28;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetExecAffinitySupport(int* value, CUexecAffinityType type, CUdevice device) {
  SIM_API(cuDeviceGetExecAffinitySupport, kInit);
  if (!value || type != CU_EXEC_AFFINITY_TYPE_SM_COUNT) return CUDA_ERROR_INVALID_VALUE;
  if (!find_device(device)) return CUDA_ERROR_INVALID_DEVICE;
  *value = 0;
  return CUDA_SUCCESS;
}

CUresult cuProfilerStart(void) {
  SIM_API(cuProfilerStart, kContext);
  return CUDA_SUCCESS;
}

CUresult cuProfilerStop(void) {
  SIM_API(cuProfilerStop, kContext);
  return CUDA_SUCCESS;
}

CUresult cuFlushGPUDirectRDMAWrites(CUflushGPUDirectRDMAWritesTarget, CUflushGPUDirectRDMAWritesScope) {
  SIM_API(cuFlushGPUDirectRDMAWrites, kContext);
  return CUDA_ERROR_NOT_SUPPORTED;
}

}  // extern "C"
