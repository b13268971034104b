#include "guard/policy.h"

#include "base/memory_limit.h"

namespace loretoken {

LivePolicy::LivePolicy(const Settings& settings)
    : verify(settings.verify),
      pointers(settings.pointers),
      integrity(settings.integrity),
      integrity_threshold(static_cast<uint32_t>(settings.integrity_threshold)),
      integrity_window_s(static_cast<uint32_t>(settings.integrity_window)),
      max_penalty_permille(static_cast<uint32_t>(settings.max_penalty * 10)),
      penalty_window_ms(static_cast<uint32_t>(settings.penalty_window)),
      codecs(0),
      host_limit(settings.host_limit.of(usable_memory())),
      max_temperature_milli(settings.max_temperature * 1000),
      max_power_milliwatts(0),
      max_power_permille(static_cast<uint32_t>(settings.max_power * 10)) {}

LivePolicy& policy() {
  static auto* live = new LivePolicy(settings());  // never freed: hooks may run while the process exits
  return *live;
}

}  // namespace loretoken
