#include "guard/nvml_device.h"

#include <algorithm>

#include "base/log.h"
#include "driver/uuid.h"

namespace loretoken {
namespace {

constexpr unsigned kMarginVersion1 = sizeof(nvmlMarginTemperature_t) | 1u << 24;
constexpr unsigned long long kFaultEvents = nvmlEventTypeXidCriticalError | nvmlEventTypeDoubleBitEccError;

}  // namespace

bool NvmlDevice::open(uint64_t now_ns) {
  nvml_ = library_.open(now_ns);
  if (nvml_ == nullptr) return false;
  const uint64_t start = library_.starts();
  if (start != start_) {
    device_ = nullptr;
    events_ = nullptr;  // gone with the library's last stop
    next_try_ = 0;
    start_ = start;
  }
  if (device_ != nullptr) return true;
  if (now_ns < next_try_) return false;
  next_try_ = now_ns + kNvmlRetry;
  find();
  return device_ != nullptr;
}

void NvmlDevice::find() {
  char uuid[kUuidText] = "without UUID";
  const bool named = uuid_text(ordinal_, &uuid);
  if (!named || nvml_->nvmlDeviceGetHandleByUUID == nullptr ||
      !answered(nvml_->nvmlDeviceGetHandleByUUID(uuid, &device_))) {
    device_ = nullptr;
    if (!told_) log_info("device %d: NVML does not know %s: its heat, power and faults are not known", ordinal_, uuid);
    told_ = true;
    return;
  }
  watch();
}

void NvmlDevice::watch() {
  nvmlEventSet_t set = nullptr;
  if (nvml_->nvmlEventSetWait_v2 != nullptr && nvml_->nvmlEventSetCreate != nullptr &&
      answered(nvml_->nvmlEventSetCreate(&set))) {
    if (register_events(set)) {
      events_ = set;
      return;
    }
    if (nvml_->nvmlEventSetFree != nullptr) nvml_->nvmlEventSetFree(set);
  }
  log_info("device %d: NVML reports no faults (XID) of it here", ordinal_);
}

bool NvmlDevice::register_events(nvmlEventSet_t set) {
  unsigned long long types = 0;
  if (!ask(nvml_->nvmlDeviceGetSupportedEventTypes, &types) || (types & kFaultEvents) == 0) return false;
  return ask(nvml_->nvmlDeviceRegisterEvents, types & kFaultEvents, set);
}

NvmlReading NvmlDevice::read(bool heat, bool power) {
  NvmlReading reading;
  lost_ = false;
  unsigned value = 0;
  unsigned long long bits = 0;
  if (heat) {
    if (ask(nvml_->nvmlDeviceGetTemperature, NVML_TEMPERATURE_GPU, &value))
      reading.temperature = static_cast<int>(value);
    reading.margin = margin();
  }
  if (power) {
    if (ask(nvml_->nvmlDeviceGetPowerUsage, &value)) reading.power = value;
    if (ask(nvml_->nvmlDeviceGetEnforcedPowerLimit, &value)) reading.power_limit = value;
  }
  if ((heat || power) && (ask(nvml_->nvmlDeviceGetCurrentClocksEventReasons, &bits) ||
                          ask(nvml_->nvmlDeviceGetCurrentClocksThrottleReasons, &bits))) {
    reading.reasons = bits;
  }
  if (ask(nvml_->nvmlDeviceGetTotalEccErrors, NVML_MEMORY_ERROR_TYPE_UNCORRECTED, NVML_VOLATILE_ECC, &bits)) {
    reading.uncorrected = bits;
  }
  reading.lost = lost_;
  return reading;
}

// Hopper and later state the margin; older cards state limits in degrees.
std::optional<int> NvmlDevice::margin() {
  nvmlMarginTemperature_t margin{kMarginVersion1, 0};
  if (ask(nvml_->nvmlDeviceGetMarginTemperature, &margin)) return margin.marginTemperature;
  std::optional<int> limit;
  unsigned degrees = 0;
  for (const auto threshold : {NVML_TEMPERATURE_THRESHOLD_GPU_MAX, NVML_TEMPERATURE_THRESHOLD_SLOWDOWN}) {
    if (!ask(nvml_->nvmlDeviceGetTemperatureThreshold, threshold, &degrees)) continue;
    limit = std::min(limit.value_or(static_cast<int>(degrees)), static_cast<int>(degrees));
  }
  if (!limit || !ask(nvml_->nvmlDeviceGetTemperature, NVML_TEMPERATURE_GPU, &degrees)) return {};
  return *limit - static_cast<int>(degrees);
}

std::optional<NvmlEvent> NvmlDevice::next_event() {
  if (events_ == nullptr) return {};
  nvmlEventData_t data{};
  const nvmlReturn_t code = nvml_->nvmlEventSetWait_v2(events_, &data, 0);
  if (code == NVML_ERROR_TIMEOUT || !answered(code)) return {};
  if ((data.eventType & nvmlEventTypeXidCriticalError) != 0) return NvmlEvent{false, data.eventData};
  return NvmlEvent{true, 0};
}

bool NvmlDevice::answered(nvmlReturn_t code) {
  if (code == NVML_ERROR_GPU_IS_LOST || code == NVML_ERROR_RESET_REQUIRED) lost_ = true;
  if (code == NVML_ERROR_UNINITIALIZED) library_.closed();
  return code == NVML_SUCCESS;
}

}  // namespace loretoken
