// The driver calls of the bench, looked up in libcuda at start; nothing is linked.
#ifndef LORETOKEN_BENCH_DRIVER_H
#define LORETOKEN_BENCH_DRIVER_H

#include <cuda.h>
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>

namespace bench {

// clang-format off
#define BENCH_DRIVER_CALLS(X)                                                                              \
  X(cuInit)                                                                                                \
  X(cuDeviceGet)                                                                                           \
  X(cuDeviceGetName) X(cuDevicePrimaryCtxRetain) X(cuCtxSetCurrent) X(cuDriverGetVersion) X(cuMemAlloc_v2) \
  X(cuMemFree_v2) X(cuMemHostAlloc) X(cuMemcpyHtoDAsync_v2) X(cuMemcpyDtoH_v2) X(cuMemcpyDtoDAsync_v2)     \
  X(cuMemsetD8Async) X(cuStreamCreate) X(cuStreamSynchronize) X(cuEventCreate) X(cuEventRecord)            \
  X(cuEventElapsedTime_v2) X(cuModuleLoadData) X(cuModuleUnload) X(cuModuleGetFunction)                    \
  X(cuFuncSetAttribute) X(cuFuncGetAttribute) X(cuLaunchKernel)
// clang-format on

#define BENCH_POINTER(name) inline decltype(&::name) name##_p;
BENCH_DRIVER_CALLS(BENCH_POINTER)
#undef BENCH_POINTER

inline void check(CUresult result, const char* what) {
  if (result == CUDA_SUCCESS) return;
  std::fprintf(stderr, "%s failed: %d\n", what, static_cast<int>(result));
  std::exit(1);
}
#define CHECK(call) ::bench::check((call), #call)

inline void load_driver() {
  void* library = dlopen("libcuda.so.1", RTLD_NOW);
  if (!library) {
    std::fprintf(stderr, "%s\n", dlerror());
    std::exit(1);
  }
  auto find = [&](const char* name) {
    void* address = dlsym(library, name);
    if (!address) {
      std::fprintf(stderr, "the driver has no %s\n", name);
      std::exit(1);
    }
    return address;
  };
#define BENCH_LOOKUP(name) name##_p = reinterpret_cast<decltype(name##_p)>(find(#name));
  BENCH_DRIVER_CALLS(BENCH_LOOKUP)
#undef BENCH_LOOKUP
}

}  // namespace bench

#endif  // LORETOKEN_BENCH_DRIVER_H
