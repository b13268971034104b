#include "driver/driver.h"

#include <dlfcn.h>

#include <atomic>
#include <memory>

#include "base/log.h"
#include "base/real_dl.h"

namespace loretoken {
namespace {

std::atomic<const Driver*> g_driver{nullptr};
std::atomic<const Nvml*> g_nvml{nullptr};

template <class F>
void resolve(void* handle, const char* name, F* slot) {
  *slot = reinterpret_cast<F>(real_dlsym()(handle, name));
}

std::unique_ptr<Driver> resolve_driver(void* handle) {
  auto driver = std::make_unique<Driver>();
  driver->handle = handle;
#define HOOK(symbol, kind, what) resolve(handle, #symbol, &driver->symbol);
#define HOOK_PT(symbol, variant, kind, what) \
  resolve(handle, #symbol, &driver->symbol); \
  resolve(handle, #variant, &driver->variant);
#define PASS(symbol, why) resolve(handle, #symbol, &driver->symbol);
#define PASS_PT(symbol, variant, why)        \
  resolve(handle, #symbol, &driver->symbol); \
  resolve(handle, #variant, &driver->variant);
#include "hooks/table.def"
  return driver;
}

std::unique_ptr<Nvml> resolve_nvml(void* handle) {
  auto nvml = std::make_unique<Nvml>();
  nvml->handle = handle;
#define NVML_HOOK(symbol, kind, what) resolve(handle, #symbol, &nvml->symbol);
#define NVML_EXTRA(symbol) resolve(handle, #symbol, &nvml->symbol);
#include "hooks/table.def"
  return nvml;
}

// The library as it is loaded already, else loaded now.
void* open_library(const char* name) {
  if (void* loaded = dlopen(name, RTLD_LAZY | RTLD_NOLOAD)) return loaded;
  return dlopen(name, RTLD_LAZY);
}

// Publishes what was resolved; the first thread to do so wins, so no lock is held while the library loads.
template <class T>
const T& publish(std::atomic<const T*>* slot, std::unique_ptr<T> made) {
  const T* expected = nullptr;
  if (slot->compare_exchange_strong(expected, made.get(), std::memory_order_acq_rel)) return *made.release();
  return *expected;
}

}  // namespace

const Driver& driver() {
  if (const Driver* ready = g_driver.load(std::memory_order_acquire)) return *ready;
  static constexpr Driver kNone;
  void* handle = open_library("libcuda.so.1");
  if (handle == nullptr) return kNone;
  return publish(&g_driver, resolve_driver(handle));
}

const Nvml& nvml() {
  if (const Nvml* ready = g_nvml.load(std::memory_order_acquire)) return *ready;
  static constexpr Nvml kNone;
  void* handle = open_library("libnvidia-ml.so.1");
  if (handle == nullptr) return kNone;
  return publish(&g_nvml, resolve_nvml(handle));
}

bool load_driver(const char* path) {
  void* handle = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
  if (handle == nullptr) {
    log_error("cannot load the driver: %s", dlerror());
    return false;
  }
  publish(&g_driver, resolve_driver(handle));
  return true;
}

}  // namespace loretoken
