#define LT_HOST_MODULE_DEFINES
#include "host_register.h"

#include <cstdlib>

namespace {
constexpr uint32_t kCapacity = 512;
LtHostKernel kernels[kCapacity];
LtHostGlobal globals[kCapacity];
}  // namespace

// Filled by static constructors while the library loads, read-only from then on. Constant-initialised, so the
// constructors may run in any order.
extern "C" __attribute__((visibility("default"))) LtHostModule lt_host_module;
constinit LtHostModule lt_host_module = {1, 0, kernels, 0, globals};

namespace loretoken::host {

void add_kernel(const LtHostKernel& kernel) {
  if (lt_host_module.kernel_count == kCapacity) std::abort();
  kernels[lt_host_module.kernel_count++] = kernel;
}

void add_global(const LtHostGlobal& global) {
  if (lt_host_module.global_count == kCapacity) std::abort();
  globals[lt_host_module.global_count++] = global;
}

}  // namespace loretoken::host
