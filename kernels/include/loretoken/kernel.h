// How this project writes a kernel, the same for nvcc and for the CPU (kernels/host/cuda_host.h).
//
//   LT_KERNEL(add, float* a, const float* b, uint32_t n) { ... }            a kernel; may use barriers and collectives
//   LT_KERNEL_BOUNDS(add, 256, 4, float* a, ...) { ... }                    with __launch_bounds__(256, 4)
//   LT_KERNEL_PLAIN(add, float* a, ...) { ... }                             never synchronises: no fibers on the CPU
//   LT_PARAM(Jobs) jobs      a large by-value parameter, read in place (const __grid_constant__)
//   LT_NOINLINE __device__ int rare(...)   a function kept out of line: rare paths must not swell the hot ones
//   LT_GLOBAL(uint32_t, hits);             a module global, found by cuModuleGetGlobal("hits")
//   LT_DYNAMIC_SHARED(uint32_t, words);    the launch's dynamic shared memory, 16-byte aligned
#ifndef LORETOKEN_KERNEL_H
#define LORETOKEN_KERNEL_H

#if defined(__CUDACC__)
#include <cstdint>

#define LT_NOINLINE static __noinline__
#define LT_KERNEL(name, ...) extern "C" __global__ void name(__VA_ARGS__)
#define LT_KERNEL_BOUNDS(name, threads, blocks, ...) \
  extern "C" __global__ void __launch_bounds__(threads, blocks) name(__VA_ARGS__)
#define LT_KERNEL_PLAIN(name, ...) extern "C" __global__ void name(__VA_ARGS__)
#define LT_PARAM(type) const __grid_constant__ type
#define LT_GLOBAL(type, name) \
  extern "C" {                \
  __device__ type name;       \
  }                           \
  static_assert(sizeof(type) > 0)
#define LT_DYNAMIC_SHARED(type, name)                                \
  extern __shared__ __align__(16) unsigned char lt_dynamic_shared[]; \
  type* const name = reinterpret_cast<type*>(lt_dynamic_shared)
#elif !defined(LORETOKEN_ON_HOST)
#error "compile this source by nvcc, or by g++ with -include cuda_host.h"
#endif

#endif  // LORETOKEN_KERNEL_H
