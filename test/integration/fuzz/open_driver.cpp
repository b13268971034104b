#include <dlfcn.h>

#include <cstdio>

#include "driver_calls.h"

namespace fuzz {

bool open_driver(Driver* driver) {
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    return false;
  }
#define X(name)                                                                   \
  driver->name = reinterpret_cast<decltype(driver->name)>(dlsym(library, #name)); \
  if (driver->name == nullptr) {                                                  \
    std::fprintf(stderr, "the driver has no " #name "\n");                        \
    return false;                                                                 \
  }
  FUZZ_CALLS(X)
#undef X
  return true;
}

}  // namespace fuzz
