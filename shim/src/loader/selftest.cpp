// loretoken_selftest: what the shim covers in this process, for `loretoken doctor`.
#include <dlfcn.h>
#include <stdio.h>

#include <string>

#include "base/real_dl.h"
#include "driver/driver.h"
#include "loader/entries.h"
#include "loader/lookup.h"

extern "C" void* dlsym(void*, const char*) noexcept;

namespace loretoken::loader {
namespace {

constexpr int kOldestDriver = 12080;  // that this library is made for; a newer version is refused by older drivers

const char* yes(bool value) {
  return value ? "true" : "false";
}

std::string report() {
  const auto find = real_dlsym();
  const bool by_dlsym = find != nullptr && find(RTLD_DEFAULT, "dlsym") == reinterpret_cast<void*>(&::dlsym);
  const bool linked = find != nullptr && find(RTLD_DEFAULT, "cuMemAlloc_v2") == hook_by_name("cuMemAlloc_v2");
  size_t total = 0;
  size_t resolved = 0;
  std::string missing;
  const bool has_driver = driver().handle != nullptr;
  for (const Hooked& line : hooked_functions()) {
    if (line.name.starts_with("nvml")) continue;
    ++total;
    if (has_driver && line.real() != nullptr) {
      ++resolved;
    } else if (has_driver) {
      missing += (missing.empty() ? "\"" : ",\"") + std::string(line.name) + "\"";
    }
  }
  bool by_address = false;
  if (driver().cuGetProcAddress_v2 != nullptr) {
    void* function = nullptr;
    CUdriverProcAddressQueryResult status{};
    by_address = driver().cuGetProcAddress_v2("cuMemAlloc", &function, kOldestDriver, 0, &status) == CUDA_SUCCESS &&
                 find_by_pointer(function).hook == hook_by_name("cuMemAlloc_v2");
  }
  return std::string("{\"version\":\"") + LORETOKEN_VERSION + "\",\"driver\":" + yes(has_driver) +
         ",\"doors\":{\"dlsym\":" + yes(by_dlsym) + ",\"cuGetProcAddress\":" + yes(by_address) +
         ",\"linked\":" + yes(linked) + "},\"hooks\":" + std::to_string(total) +
         ",\"resolved\":" + std::to_string(resolved) + ",\"missing\":[" + missing + "]}";
}

}  // namespace

// One line of JSON, valid until the process ends; nullptr when memory is short. "missing" are functions that this
// driver does not have. Loads libcuda if it is not loaded.
extern "C" __attribute__((visibility("default"))) const char* loretoken_selftest() {
  try {
    static const std::string text = report();
    return text.c_str();
  } catch (...) {
    return nullptr;
  }
}

extern "C" __attribute__((visibility("default"))) const char* loretoken_version() {
  return LORETOKEN_VERSION;
}

}  // namespace loretoken::loader
