#include "guard/nvml_library.h"

#include "base/log.h"

namespace loretoken {

const Nvml* NvmlLibrary::open(uint64_t now_ns) {
  std::lock_guard lock(mutex_);
  if (open_ != nullptr || now_ns < next_try_) return open_;
  next_try_ = now_ns + kNvmlRetry;
  open_ = start();
  if (open_ != nullptr) ++starts_;
  return open_;
}

const Nvml* NvmlLibrary::start() {
  const Nvml& functions = find_();
  nvmlReturn_t result = NVML_ERROR_UNKNOWN;
  const char* missing = nullptr;
  if (functions.handle == nullptr) {
    missing = "libnvidia-ml.so.1 was not found";
  } else if (functions.nvmlInit_v2 == nullptr) {
    missing = "libnvidia-ml.so.1 has no nvmlInit_v2";
  } else {
    result = functions.nvmlInit_v2();
    if (result == NVML_SUCCESS) return &functions;
  }
  if (!told_ && missing != nullptr) log_info("no heat, power or faults of GPUs are known: %s", missing);
  if (!told_ && missing == nullptr)
    log_info("no heat, power or faults of GPUs are known: nvmlInit_v2 gave %d", static_cast<int>(result));
  told_ = true;
  return nullptr;
}

uint64_t NvmlLibrary::starts() const {
  std::lock_guard lock(mutex_);
  return starts_;
}

void NvmlLibrary::closed() {
  std::lock_guard lock(mutex_);
  open_ = nullptr;
}

NvmlLibrary& nvml_library() {
  static auto* library = new NvmlLibrary;  // never freed: the guard thread may run while the process exits
  return *library;
}

}  // namespace loretoken
