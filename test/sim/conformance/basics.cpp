// Initialisation, error names, device attributes, contexts.
#include "report.h"

namespace conformance {

namespace {

void before_init() {
  int count = 0;
  CUdevice first = 0;
  CUcontext context = nullptr;
  CUdeviceptr address = 0;
  result("before.cuDeviceGetCount", CU(cuDeviceGetCount)(&count));
  result("before.cuDeviceGet", CU(cuDeviceGet)(&first, 0));
  result("before.cuCtxGetCurrent", CU(cuCtxGetCurrent)(&context));
  result("before.cuMemAlloc", CU(cuMemAlloc)(&address, 256));
  int version = 0;
  result("before.cuDriverGetVersion", CU(cuDriverGetVersion)(&version));
  result("before.cuInit(1)", CU(cuInit)(1));
}

void without_context() {
  size_t free_bytes = 0, total = 0;
  CUdeviceptr address = 0;
  CUdevice current = 0;
  CUcontext context = reinterpret_cast<CUcontext>(1);
  CUstream stream = nullptr;
  CUmodule module = nullptr;
  CUevent event = nullptr;
  void* host = nullptr;
  char bytes[16] = {};
  unsigned type = 0;
  result("bare.cuCtxGetCurrent", CU(cuCtxGetCurrent)(&context));
  say("bare.current_is_null", "%d", context == nullptr);
  result("bare.cuCtxGetDevice", CU(cuCtxGetDevice)(&current));
  result("bare.cuCtxSynchronize", CU(cuCtxSynchronize)());
  result("bare.cuCtxPopCurrent", CU(cuCtxPopCurrent)(&context));
  result("bare.cuMemGetInfo", CU(cuMemGetInfo)(&free_bytes, &total));
  result("bare.cuMemAlloc", CU(cuMemAlloc)(&address, 256));
  result("bare.cuMemFree(0)", CU(cuMemFree)(0));
  result("bare.cuMemHostAlloc", CU(cuMemHostAlloc)(&host, 4096, 0));
  result("bare.cuMemcpyHtoD", CU(cuMemcpyHtoD)(0x1000, bytes, 16));
  result("bare.cuStreamCreate", CU(cuStreamCreate)(&stream, 0));
  result("bare.cuStreamSynchronize(0)", CU(cuStreamSynchronize)(nullptr));
  result("bare.cuEventCreate", CU(cuEventCreate)(&event, 0));
  result("bare.cuModuleLoadData", CU(cuModuleLoadData)(&module, kernel_image().data()));
  result("bare.cuPointerGetAttribute", CU(cuPointerGetAttribute)(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, 0x1000));
  CUdeviceptr reserved = 0;
  result("bare.cuMemAddressReserve", CU(cuMemAddressReserve)(&reserved, 2 * kMiB, 0, 0, 0));
  CUmemGenericAllocationHandle handle = 0;
  const CUmemAllocationProp prop = device_memory();
  result("bare.cuMemCreate", CU(cuMemCreate)(&handle, 2 * kMiB, &prop, 0));
  result("bare.cuMemMap", CU(cuMemMap)(reserved, 2 * kMiB, 0, handle, 0));
  result("bare.cuMemSetAccess", allow(reserved, 2 * kMiB));
  result("bare.cuMemUnmap", CU(cuMemUnmap)(reserved, 2 * kMiB));
  result("bare.cuMemRelease", CU(cuMemRelease)(handle));
  result("bare.cuMemAddressFree", CU(cuMemAddressFree)(reserved, 2 * kMiB));
}

void devices() {
  CUdevice found = 0;
  int count = 0, value = 0;
  size_t bytes = 0;
  char name[8] = {};
  result("cuDeviceGetCount(null)", CU(cuDeviceGetCount)(nullptr));
  result("cuDeviceGetCount", CU(cuDeviceGetCount)(&count));
  result("cuDeviceGet(99)", CU(cuDeviceGet)(&found, 99));
  result("cuDeviceGet(-1)", CU(cuDeviceGet)(&found, -1));
  result("cuDeviceGet(null)", CU(cuDeviceGet)(nullptr, 0));
  result("cuDeviceGetName(short)", CU(cuDeviceGetName)(name, sizeof name, 0));
  say("name_is_terminated", "%d", name[7] == '\0');
  result("cuDeviceGetName(null)", CU(cuDeviceGetName)(nullptr, 8, 0));
  result("cuDeviceTotalMem", CU(cuDeviceTotalMem)(&bytes, 0));
  say("total_is_positive", "%d", bytes > 0);
  result("cuDeviceTotalMem(99)", CU(cuDeviceTotalMem)(&bytes, 99));
  result("cuDeviceTotalMem(null)", CU(cuDeviceTotalMem)(nullptr, 0));
  result("cuDeviceGetAttribute(bad)", CU(cuDeviceGetAttribute)(&value, static_cast<CUdevice_attribute>(9999), 0));
  result("cuDeviceGetAttribute(0)", CU(cuDeviceGetAttribute)(&value, static_cast<CUdevice_attribute>(0), 0));
  result("cuDeviceGetAttribute(null)", CU(cuDeviceGetAttribute)(nullptr, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 0));
  result("cuDriverGetVersion(null)", CU(cuDriverGetVersion)(nullptr));
  char bus[32] = {};
  result("cuDeviceGetPCIBusId", CU(cuDeviceGetPCIBusId)(bus, sizeof bus, 0));
  CUdevice by_bus = -1;
  result("cuDeviceGetByPCIBusId", CU(cuDeviceGetByPCIBusId)(&by_bus, bus));
  say("same_device_by_bus", "%d", by_bus == 0);
  result("cuDeviceGetByPCIBusId(bad)", CU(cuDeviceGetByPCIBusId)(&by_bus, "zz"));
  int can = -1;
  result("cuDeviceCanAccessPeer(self)", CU(cuDeviceCanAccessPeer)(&can, 0, 0));
  say("can_access_self", "%d", can);
}

}  // namespace

void section_init() {
  before_init();
  result("cuInit(0)", CU(cuInit)(0));
  result("cuInit(0) again", CU(cuInit)(0));
  result("cuInit(7)", CU(cuInit)(7));
  without_context();
  devices();
  for (int code = 0; code < 1000; ++code) {
    const char *name = nullptr, *text = nullptr;
    if (CU(cuGetErrorName)(static_cast<CUresult>(code), &name) != CUDA_SUCCESS) continue;
    CU(cuGetErrorString)(static_cast<CUresult>(code), &text);
    say("error[" + std::to_string(code) + "]", "%s: %s", name, text ? text : "(null)");
  }
  const char* name = "unset";
  result("cuGetErrorName(unknown)", CU(cuGetErrorName)(static_cast<CUresult>(12345), &name));
  say("unknown_name_is_null", "%d", name == nullptr);
}

void section_attributes() {
  for (int i = 1; i < CU_DEVICE_ATTRIBUTE_MAX; ++i) {
    switch (i) {  // differ between cards of one kind
      case CU_DEVICE_ATTRIBUTE_PCI_BUS_ID:
      case CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID:
      case CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID:
      case CU_DEVICE_ATTRIBUTE_NUMA_ID:
      case CU_DEVICE_ATTRIBUTE_HOST_NUMA_ID:
      case CU_DEVICE_ATTRIBUTE_GPU_PCI_SUBSYSTEM_ID:
        continue;
      default:
        break;
    }
    int value = -1;
    const CUresult status = CU(cuDeviceGetAttribute)(&value, static_cast<CUdevice_attribute>(i), device());
    if (status == CUDA_SUCCESS) {
      say(std::to_string(i), "%d", value);
    } else {
      result(std::to_string(i), status);
    }
  }
}

void section_context() {
  CUcontext current = nullptr, made = nullptr;
  CUdevice where = -1;
  unsigned flags = 77, version = 0;
  int active = -1, lowest = 77, highest = 77;
  unsigned long long id = 0, other_id = 0;
  result("cuCtxGetCurrent", CU(cuCtxGetCurrent)(&current));
  say("current_is_primary", "%d", current == primary());
  result("cuCtxGetDevice", CU(cuCtxGetDevice)(&where));
  result("cuCtxGetFlags", CU(cuCtxGetFlags)(&flags));
  say("flags", "%u", flags);
  result("cuCtxGetApiVersion", CU(cuCtxGetApiVersion)(primary(), &version));
  say("api_version", "%u", version);
  result("cuDevicePrimaryCtxGetState", CU(cuDevicePrimaryCtxGetState)(device(), &flags, &active));
  say("primary_state", "flags %u active %d", flags, active);
  result("cuDevicePrimaryCtxSetFlags(bad)", CU(cuDevicePrimaryCtxSetFlags)(device(), 0xff00));
  result("cuDevicePrimaryCtxSetFlags(yield)", CU(cuDevicePrimaryCtxSetFlags)(device(), CU_CTX_SCHED_YIELD));
  result("cuCtxGetStreamPriorityRange", CU(cuCtxGetStreamPriorityRange)(&lowest, &highest));
  say("priorities", "%d..%d", lowest, highest);
  for (int limit = 0; limit < CU_LIMIT_MAX; ++limit) {
    size_t value = 0;
    const CUresult status = CU(cuCtxGetLimit)(&value, static_cast<CUlimit>(limit));
    say("limit[" + std::to_string(limit) + "]", "%s %zu", name_of(status).c_str(), value);
  }
  result("cuCtxSetLimit(stack)", CU(cuCtxSetLimit)(CU_LIMIT_STACK_SIZE, 4096));
  result("cuCtxSetLimit(bad)", CU(cuCtxSetLimit)(static_cast<CUlimit>(99), 1));
  result("cuCtxDestroy(primary)", CU(cuCtxDestroy)(primary()));
  result("cuCtxGetId", CU(cuCtxGetId)(primary(), &id));
  CUcontext again = nullptr;
  result("retain again", CU(cuDevicePrimaryCtxRetain)(&again, device()));
  say("retain_gives_the_same", "%d", again == primary());
  result("release", CU(cuDevicePrimaryCtxRelease)(device()));
  result("cuCtxCreate", CU(cuCtxCreate)(&made, nullptr, 0, device()));
  result("cuCtxGetId(made)", CU(cuCtxGetId)(made, &other_id));
  say("ids_differ", "%d", id != other_id);
  CU(cuCtxGetCurrent)(&current);
  say("created_is_current", "%d", current == made);
  CUcontext popped = nullptr;
  result("cuCtxPopCurrent", CU(cuCtxPopCurrent)(&popped));
  say("popped_is_made", "%d", popped == made);
  CU(cuCtxGetCurrent)(&current);
  say("below_is_primary", "%d", current == primary());
  result("cuCtxPushCurrent(null)", CU(cuCtxPushCurrent)(nullptr));
  result("cuCtxDestroy", CU(cuCtxDestroy)(made));
  result("cuCtxDestroy(null)", CU(cuCtxDestroy)(nullptr));
  result("cuCtxSetCurrent(null)", CU(cuCtxSetCurrent)(nullptr));
  CU(cuCtxGetCurrent)(&current);
  say("now_null", "%d", current == nullptr);
  result("cuCtxSetCurrent(primary)", CU(cuCtxSetCurrent)(primary()));
  CUdeviceptr held = allocate(256);
  result("cuDevicePrimaryCtxReset", CU(cuDevicePrimaryCtxReset)(device()));
  CU(cuDevicePrimaryCtxGetState)(device(), &flags, &active);
  say("active_after_reset", "%d", active);
  result("cuMemFree after reset", CU(cuMemFree)(held));
  result("cuCtxSynchronize after reset", CU(cuCtxSynchronize)());
  result("release after reset", CU(cuDevicePrimaryCtxRelease)(device()));
  result("release too often", CU(cuDevicePrimaryCtxRelease)(device()));
}

}  // namespace conformance
