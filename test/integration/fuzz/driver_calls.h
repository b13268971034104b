// The driver calls of the generated programs, looked up by dlsym as programs do.
#pragma once

#include <cuda.h>

namespace fuzz {

// clang-format off
#define FUZZ_CALLS(X)                                                                                              \
  X(cuInit)                                                                                                        \
  X(cuDeviceGet)                                                                                                   \
  X(cuDevicePrimaryCtxRetain) X(cuDevicePrimaryCtxRelease_v2)                                                      \
  X(cuCtxSetCurrent) X(cuCtxSynchronize) X(cuModuleLoad) X(cuModuleGetFunction) X(cuLaunchKernel) X(cuMemAlloc_v2) \
  X(cuMemFree_v2) X(cuMemAllocAsync) X(cuMemFreeAsync) X(cuMemcpyHtoD_v2) X(cuMemcpyDtoH_v2) X(cuMemcpyDtoD_v2)    \
  X(cuMemcpyHtoDAsync_v2) X(cuMemcpyDtoHAsync_v2) X(cuMemcpyDtoDAsync_v2) X(cuMemcpyAsync) X(cuMemsetD8_v2)        \
  X(cuMemsetD32Async) X(cuMemcpy2D_v2) X(cuStreamCreate) X(cuStreamDestroy_v2) X(cuStreamSynchronize)              \
  X(cuStreamWaitEvent) X(cuEventCreate) X(cuEventRecord) X(cuEventDestroy_v2) X(cuMemHostAlloc)                    \
  X(cuMemFreeHost) X(cuStreamBeginCapture_v2) X(cuStreamEndCapture) X(cuGraphInstantiateWithFlags)                 \
  X(cuGraphLaunch) X(cuGraphDestroy) X(cuGraphExecDestroy) X(cuMemGetInfo_v2)                            \
  X(cuStreamWaitValue32_v2) X(cuStreamWriteValue32_v2) X(cuStreamQuery) X(cuEventQuery) X(cuEventSynchronize)
// clang-format on

struct Driver {
#define X(name) decltype(&::name) name = nullptr;
  FUZZ_CALLS(X)
#undef X
};

// Opens libcuda.so.1 and fills the table; prints what is missing and returns false.
bool open_driver(Driver* driver);

}  // namespace fuzz
