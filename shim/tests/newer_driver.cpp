// A libcuda.so.1 of some later year, as small as it can be: it looks itself up, and it knows a version of cuMemFree
// that nobody knows yet.
#include <cuda.h>
#include <dlfcn.h>
#include <string.h>

namespace {

// Eight register arguments, two on the stack, and floating point: a gate must hand on all of them.
double cuMemFree_later(long a, long b, long c, long d, long e, long f, long g, long h, double x, double y) {
  return a == 1 && b == 2 && c == 3 && d == 4 && e == 5 && f == 6 && g == 7 && h == 8 ? x * y : 0;
}

}  // namespace

extern "C" {

CUresult cuMemFree_v2(CUdeviceptr) {
  return CUDA_ERROR_INVALID_VALUE;
}

// Looks itself up, as the driver of WSL does. Being handed somebody else's function there would end in a circle.
CUresult cuInit(unsigned) {
  void* self = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
  Dl_info found{};
  Dl_info own{};
  if (dladdr(dlsym(self, "cuMemFree_v2"), &found) == 0 ||
      dladdr(reinterpret_cast<void*>(&cuMemFree_later), &own) == 0) {
    return CUDA_ERROR_UNKNOWN;
  }
  return found.dli_fbase == own.dli_fbase ? CUDA_SUCCESS : CUDA_ERROR_UNKNOWN;
}

CUresult cuGetProcAddress_v2(const char* symbol, void** function, int version, cuuint64_t,
                             CUdriverProcAddressQueryResult*) {
  *function =
      strcmp(symbol, "cuMemFree") == 0 && version >= 20000 ? reinterpret_cast<void*>(&cuMemFree_later) : nullptr;
  return *function == nullptr ? CUDA_ERROR_NOT_FOUND : CUDA_SUCCESS;
}

}  // extern "C"
