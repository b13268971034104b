// A host object written by hand: the kernels of the simulator's own tests.
#include <time.h>

#include <cstdint>

#define LT_HOST_MODULE_DEFINES
#include "host_module.h"

namespace {

template <class T>
T param(const LtHostLaunch* launch, int index) {
  return *static_cast<T*>(launch->params[index]);
}

uint64_t threads(const LtHostLaunch* l) {
  return static_cast<uint64_t>(l->grid.x) * l->grid.y * l->grid.z * l->block.x * l->block.y * l->block.z;
}

// add(uint32_t* data, uint32_t value, uint64_t count)
void add(const LtHostLaunch* l) {
  auto* data = param<uint32_t*>(l, 0);
  const uint64_t count = param<uint64_t>(l, 2);
  for (uint64_t i = 0; i < count && i < threads(l); ++i) data[i] += param<uint32_t>(l, 1);
}

// slow_add(uint32_t* data, uint32_t value, uint32_t microseconds): waits between reading and writing one word. Tests
// let it race on purpose, which a thread sanitizer need not report.
__attribute__((no_sanitize("thread"))) void slow_add(const LtHostLaunch* l) {
  auto* data = param<uint32_t*>(l, 0);
  const uint32_t before = *data;
  timespec pause{0, static_cast<long>(param<uint32_t>(l, 2)) * 1000};
  nanosleep(&pause, nullptr);
  *data = before + param<uint32_t>(l, 1);
}

uint32_t counter = 7;

// bump(): adds one to the module's global.
void bump(const LtHostLaunch*) {
  ++counter;
}

constexpr LtHostParam kAddParams[] = {{0, 8}, {8, 4}, {16, 8}};
constexpr LtHostParam kSlowParams[] = {{0, 8}, {8, 4}, {12, 4}};
constexpr LtHostKernel kKernels[] = {
    {"add", 3, kAddParams, add, 0}, {"slow_add", 3, kSlowParams, slow_add, 0}, {"bump", 0, nullptr, bump, 0}};
const LtHostGlobal kGlobals[] = {{"counter", &counter, sizeof counter}};

}  // namespace

extern "C" __attribute__((visibility("default"))) const LtHostModule lt_host_module;
extern "C" const LtHostModule lt_host_module = {1, 3, kKernels, 1, kGlobals};
