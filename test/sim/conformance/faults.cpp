// Sharing between processes as far as one process shows it, and what is left after a device fault. The fault is last.
#include "report.h"

namespace conformance {

void section_ipc() {
  const CUdeviceptr plain = allocate(4 * kMiB);
  const VmmRange mapped = map_fresh(2 * kMiB);
  CUipcMemHandle handle{};
  result("handle", CU(cuIpcGetMemHandle)(&handle, plain));
  result("handle(inside)", CU(cuIpcGetMemHandle)(&handle, plain + kMiB));
  result("handle(vmm)", CU(cuIpcGetMemHandle)(&handle, mapped.base));
  result("handle(0x1234)", CU(cuIpcGetMemHandle)(&handle, 0x1234));
  result("handle(null)", CU(cuIpcGetMemHandle)(nullptr, plain));
  CUdeviceptr pooled = 0, opened = 0;
  CU(cuMemAllocAsync)(&pooled, 4096, nullptr);
  result("handle(pooled)", CU(cuIpcGetMemHandle)(&handle, pooled));
  CU(cuIpcGetMemHandle)(&handle, plain);
  result("open in the same process", CU(cuIpcOpenMemHandle)(&opened, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
  result("close what was not opened", CU(cuIpcCloseMemHandle)(plain));
  CUipcEventHandle event_handle{};
  result("event handle",
         CU(cuIpcGetEventHandle)(&event_handle, make_event(CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS)));
  result("event handle(not interprocess)", CU(cuIpcGetEventHandle)(&event_handle, make_event()));
}

void section_fault() {
  const CUdeviceptr memory = allocate(4096);
  const CUstream stream = make_stream();
  const CUevent event = make_event();
  kernels();
  CUdeviceptr reserved = 0;
  CU(cuMemAddressReserve)(&reserved, 2 * kMiB, 0, 0, 0);
  char host[64] = {};
  result("copy to unmapped", CU(cuMemcpyHtoD)(reserved, host, 64));
  result("set of unmapped", CU(cuMemsetD8)(reserved, 1, 64));
  result("still well", CU(cuCtxSynchronize)());
  result("launch", fill(stream, reserved, 64, 1));
  result("stream synchronize", CU(cuStreamSynchronize)(stream));
  result("stream synchronize again", CU(cuStreamSynchronize)(stream));
  result("context synchronize", CU(cuCtxSynchronize)());
  result("stream query", CU(cuStreamQuery)(stream));
  result("event query", CU(cuEventQuery)(event));
  result("event record", CU(cuEventRecord)(event, stream));
  result("launch after", fill(stream, memory, 64, 1));
  CUdeviceptr more = 0;
  result("cuMemAlloc", CU(cuMemAlloc)(&more, 4096));
  result("cuMemcpyDtoH", CU(cuMemcpyDtoH)(host, memory, 64));
  result("cuMemsetD8Async", CU(cuMemsetD8Async)(memory, 1, 64, stream));
  size_t available = 0, total = 0;
  result("cuMemGetInfo", CU(cuMemGetInfo)(&available, &total));
  CUdevice where = 0;
  CUcontext current = nullptr;
  unsigned type = 0;
  result("cuCtxGetDevice", CU(cuCtxGetDevice)(&where));
  result("cuCtxGetCurrent", CU(cuCtxGetCurrent)(&current));
  result("cuPointerGetAttribute", CU(cuPointerGetAttribute)(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, memory));
  CUstream fresh = nullptr;
  result("cuStreamCreate", CU(cuStreamCreate)(&fresh, CU_STREAM_NON_BLOCKING));
  CUmemGenericAllocationHandle handle = 0;
  const CUmemAllocationProp prop = device_memory();
  result("cuMemCreate", CU(cuMemCreate)(&handle, 2 * kMiB, &prop, 0));
  result("cuMemMap", CU(cuMemMap)(reserved, 2 * kMiB, 0, handle, 0));
  result("cuMemSetAccess", allow(reserved, 2 * kMiB));
  result("cuMemUnmap", CU(cuMemUnmap)(reserved, 2 * kMiB));
  result("cuMemRelease", CU(cuMemRelease)(handle));
  result("cuMemAddressFree", CU(cuMemAddressFree)(reserved, 2 * kMiB));
  result("cuStreamDestroy", CU(cuStreamDestroy)(stream));
  result("cuEventDestroy", CU(cuEventDestroy)(event));
  result("cuMemFree", CU(cuMemFree)(memory));
  result("cuDevicePrimaryCtxRelease", CU(cuDevicePrimaryCtxRelease)(device()));
}

}  // namespace conformance
