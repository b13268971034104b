// Calls of a libcuda.so.1 that is opened at run time: CU(cuMemAlloc)(…) is the symbol that the header's macros select.
#ifndef LORETOKEN_CONFORMANCE_DRIVER_H
#define LORETOKEN_CONFORMANCE_DRIVER_H

#include <cuda.h>

namespace conformance {

// The exported symbol, or null.
void* symbol(const char* name);

template <class Pointer>
struct Call;

// A missing symbol answers CUDA_ERROR_NOT_FOUND.
template <class... Args>
struct Call<CUresult (*)(Args...)> {
  void* address;
  CUresult operator()(Args... args) const {
    if (!address) return CUDA_ERROR_NOT_FOUND;
    return reinterpret_cast<CUresult (*)(Args...)>(address)(args...);
  }
};

#define CU_NAMED(name) (::conformance::Call<decltype(&name)>{::conformance::symbol(#name)})
#define CU(name) CU_NAMED(name)

}  // namespace conformance

#endif  // LORETOKEN_CONFORMANCE_DRIVER_H
