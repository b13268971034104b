#include "guard/live_control.h"

#include <algorithm>

namespace loretoken {
namespace {

template <class T>
void set(std::atomic<T>& field, T value) {
  field.store(value, std::memory_order_relaxed);
}

template <class T>
void set_stated(std::atomic<T>& field, T stated, const std::atomic<T>& setting) {
  set(field, stated != T{} ? stated : setting.load(std::memory_order_relaxed));
}

template <class T>
void set_known(std::atomic<T>& field, uint32_t number, T last) {
  if (number <= static_cast<uint32_t>(last)) set(field, static_cast<T>(number));
}

}  // namespace

void apply(const loretoken_control& control, const LivePolicy& from_settings, LivePolicy* live) {
  set_known(live->verify, control.verify, Verify::kOff);
  set_known(live->integrity, control.integrity, Integrity::kPassthrough);
  set_stated(live->integrity_threshold, control.integrity_threshold, from_settings.integrity_threshold);
  set_stated(live->integrity_window_s, control.integrity_window_s, from_settings.integrity_window_s);
  set_stated(live->max_penalty_permille, control.max_penalty_permille, from_settings.max_penalty_permille);
  set_stated(live->penalty_window_ms, control.penalty_window_ms, from_settings.penalty_window_ms);
  set(live->codecs, control.codecs);
  set(live->host_limit, control.host_limit != UINT64_MAX ? control.host_limit : from_settings.host_limit.load());
  set_stated(live->max_temperature_milli, control.max_temperature_milli, from_settings.max_temperature_milli);
  set_stated(live->max_power_milliwatts, control.max_power_milliwatts, from_settings.max_power_milliwatts);
  set_stated(live->max_power_permille, control.max_power_permille, from_settings.max_power_permille);
  if (control.pointer_safety == 0) {
    set(live->pointers, from_settings.pointers.load());
  } else {
    set_known(live->pointers, control.pointer_safety - 1, Pointers::kStrict);
  }
}

Mode mode_of(const loretoken_control& control, Mode setting) {
  if (control.mode > static_cast<uint32_t>(Mode::kOff)) return setting;
  return std::max(setting, static_cast<Mode>(control.mode));
}

}  // namespace loretoken
