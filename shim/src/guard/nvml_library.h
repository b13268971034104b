// libnvidia-ml, started for the guardrails. It is never shut down: NVML counts its users, and other threads of the
// program may be among them when the process ends.
#pragma once

#include <cstdint>
#include <mutex>

#include "driver/driver.h"

namespace loretoken {

// Nanoseconds between two attempts to get what NVML did not give: itself, or a device.
inline constexpr uint64_t kNvmlRetry = 60'000'000'000;

class NvmlLibrary {
 public:
  // `find`: the real functions, never a hook's; a table without handle if there is no library.
  explicit NvmlLibrary(const Nvml& (*find)() = nvml) : find_(find) {}

  // Its functions, started; some may be nullptr in older drivers. nullptr: no library, or it does not start; one line
  // in the log says why, and it is tried again at most every kNvmlRetry. Any thread; starting takes milliseconds.
  const Nvml* open(uint64_t now_ns);

  // Grows with each start: handles of an earlier one are not to be used.
  uint64_t starts() const;

  // A call answered NVML_ERROR_UNINITIALIZED: the program shut it down once too often.
  void closed();

 private:
  const Nvml* start();

  const Nvml& (*const find_)();
  mutable std::mutex mutex_;
  const Nvml* open_ = nullptr;
  uint64_t starts_ = 0;
  uint64_t next_try_ = 0;
  bool told_ = false;
};

// The process's.
NvmlLibrary& nvml_library();

}  // namespace loretoken
