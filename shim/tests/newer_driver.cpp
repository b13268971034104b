// A libcuda.so.1 of some later year, as small as it can be: it knows one version of cuMemFree that nobody knows yet.
#include <cuda.h>
#include <string.h>

namespace {

// Eight register arguments, two on the stack, and floating point: a gate must hand on all of them.
double cuMemFree_later(long a, long b, long c, long d, long e, long f, long g, long h, double x, double y) {
  return a == 1 && b == 2 && c == 3 && d == 4 && e == 5 && f == 6 && g == 7 && h == 8 ? x * y : 0;
}

}  // namespace

extern "C" {

CUresult cuInit(unsigned) {
  return CUDA_SUCCESS;
}

CUresult cuGetProcAddress_v2(const char* symbol, void** function, int version, cuuint64_t,
                             CUdriverProcAddressQueryResult*) {
  *function =
      strcmp(symbol, "cuMemFree") == 0 && version >= 20000 ? reinterpret_cast<void*>(&cuMemFree_later) : nullptr;
  return *function == nullptr ? CUDA_ERROR_NOT_FOUND : CUDA_SUCCESS;
}

}  // extern "C"
