// What may change while the program runs: the settings at first, then what the agent's control file says. Read by the
// moving threads and by launches that wait; one relaxed load each. Each field stands for itself, so no reader needs two
// of them to agree.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/settings.h"
#include "loretoken/codec_layout.h"

namespace loretoken {

struct LivePolicy {
  explicit LivePolicy(const Settings&);

  std::atomic<Verify> verify;
  std::atomic<Pointers> pointers;
  std::atomic<Integrity> integrity;
  std::atomic<uint32_t> integrity_threshold;   // mismatches within the window from which `integrity` is done, >= 1
  std::atomic<uint32_t> integrity_window_s;    // >= 1
  std::atomic<uint32_t> max_penalty_permille;  // 0: no limit
  std::atomic<uint32_t> penalty_window_ms;     // >= 1
  std::atomic<uint64_t> codecs;                // bit per LORETOKEN_CODEC_*; 0: all lossless ones
  std::atomic<uint64_t> host_limit;            // bytes of pinned host memory
  std::atomic<int64_t> max_temperature_milli;  // milli-degrees, as a margin to slowdown if negative; 0: no limit
  std::atomic<uint64_t> max_power_milliwatts;  // 0: no limit
  std::atomic<uint32_t> max_power_permille;    // of the enforced power limit; 0: no limit
};

// The process's. Cost: one acquire load.
LivePolicy& policy();

}  // namespace loretoken
