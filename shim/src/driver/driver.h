// The real functions of libcuda and libnvidia-ml: one pointer per line of the hook table, HOOK and PASS alike.
//
// A pointer is nullptr when the driver does not have the function (older driver). driver() finds the library by itself
// on first use; its cost afterwards is one acquire load. It never runs inside dlsym.
#pragma once

#ifndef __CUDA_API_VERSION_INTERNAL
#define __CUDA_API_VERSION_INTERNAL
#endif
#include <cuda.h>

#include "driver/nvml_types.h"

namespace loretoken {

struct Driver {
  void* handle = nullptr;  // of libcuda.so.1; nullptr: not loaded, every pointer is nullptr
#define HOOK(symbol, kind, what) decltype(&::symbol) symbol = nullptr;
#define HOOK_PT(symbol, variant, kind, what) \
  decltype(&::symbol) symbol = nullptr;      \
  decltype(&::variant) variant = nullptr;
#define PASS(symbol, why) decltype(&::symbol) symbol = nullptr;
#define PASS_PT(symbol, variant, why)   \
  decltype(&::symbol) symbol = nullptr; \
  decltype(&::variant) variant = nullptr;
#include "hooks/table.def"
};

struct Nvml {
  void* handle = nullptr;
#define NVML_HOOK(symbol, kind, what) decltype(&::symbol) symbol = nullptr;
#define NVML_EXTRA(symbol) decltype(&::symbol) symbol = nullptr;
#include "hooks/table.def"
};

// The process's driver: libcuda.so.1 as it is loaded already (also RTLD_LOCAL), else opened. Without one, all pointers
// are nullptr and the next call looks again.
const Driver& driver();
const Nvml& nvml();

// Tests: load from an explicit path, before the first driver() call. False, with a log line, if it cannot be opened.
bool load_driver(const char* path);

}  // namespace loretoken
