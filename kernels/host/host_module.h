// The C ABI of a host object: a shared library that holds CUDA kernels compiled for the CPU.
//
// A host object exports one symbol, `lt_host_module`. A software driver opens the library, reads the tables and
// launches kernels by calling `run`. Every pointer stays valid until the library is closed.
//
// Contract of `run`: it executes the whole grid on the calling thread and returns when the last block is done.
// Blocks run one after the other in ascending order (x fastest). `params[i]` points at the value of parameter i, which
// has `size` bytes; the values are copied before the first block starts. Several threads may call `run` at once.
#ifndef LORETOKEN_HOST_MODULE_H
#define LORETOKEN_HOST_MODULE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct LtHostParam {
  uint32_t offset;  // byte offset in the packed parameter buffer, as cuFuncGetParamInfo reports it
  uint32_t size;    // bytes
};

struct LtHostDim3 {
  uint32_t x, y, z;
};

struct LtHostLaunch {
  struct LtHostDim3 grid, block;
  uint32_t shared_bytes;  // dynamic shared memory
  void* const* params;    // param_count pointers
};

struct LtHostKernel {
  const char* name;
  uint32_t param_count;
  const struct LtHostParam* params;
  void (*run)(const struct LtHostLaunch* launch);
  uint32_t static_shared_bytes;  // 0 when unknown: static shared memory lives in thread-local storage
};

struct LtHostGlobal {
  const char* name;
  void* address;
  uint64_t size;
};

struct LtHostModule {
  uint32_t abi_version;  // 1
  uint32_t kernel_count;
  const struct LtHostKernel* kernels;
  uint32_t global_count;
  const struct LtHostGlobal* globals;
};

#ifndef LT_HOST_MODULE_DEFINES
extern const struct LtHostModule lt_host_module;
#endif

#ifdef __cplusplus
}
#endif

#endif  // LORETOKEN_HOST_MODULE_H
