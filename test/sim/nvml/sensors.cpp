// Temperature, power, clocks, errors and modes. Temperature limits are margins, as on H200.
#include <chrono>

#include "library.h"

using namespace loretoken::sim;
using namespace loretoken::sim::nvml;

namespace {

constexpr unsigned kPowerLimitMilliwatts = 700000;
constexpr int kShutdownMargin = -8, kSlowdownMargin = -2, kMaximumMargin = 0;
constexpr unsigned kMaxClocksMhz[] = {1980, 1980, 3201, 1545};
constexpr unsigned kThrottledMhz = 345;
// Every clocks-event reason that lowers the clocks (all but idle and the settings).
constexpr uint64_t kSlowing = 0x4 | 0x8 | 0x20 | 0x40 | 0x80;

inject::Health health(nvmlDevice_t device) {
  return inject::health(index_of(device));
}

unsigned milliwatts(nvmlDevice_t device) {
  return static_cast<unsigned>(health(device).power_watts * 1000);
}

nvmlReturn_t clock(nvmlDevice_t device, unsigned type, bool highest, unsigned* mhz) {
  const nvmlReturn_t status = check(device, mhz);
  if (status != NVML_SUCCESS) return status;
  if (type > NVML_CLOCK_VIDEO) return NVML_ERROR_INVALID_ARGUMENT;
  const bool slowed = !highest && type != NVML_CLOCK_MEM && (health(device).throttle & kSlowing);
  *mhz = slowed ? kThrottledMhz : kMaxClocksMhz[type];
  return NVML_SUCCESS;
}

nvmlReturn_t reasons(nvmlDevice_t device, unsigned long long* bits) {
  const nvmlReturn_t status = check(device, bits);
  if (status == NVML_SUCCESS) *bits = health(device).throttle;
  return status;
}

void set_unsigned(nvmlFieldValue_t& field, unsigned value) {
  field.valueType = NVML_VALUE_TYPE_UNSIGNED_INT;
  field.value.uiVal = value;
}

void set_signed(nvmlFieldValue_t& field, int value) {
  field.valueType = NVML_VALUE_TYPE_SIGNED_INT;
  field.value.siVal = value;
}

void answer(nvmlDevice_t device, nvmlFieldValue_t& field) {
  field.nvmlReturn = NVML_SUCCESS;
  field.latencyUsec = 0;
  field.timestamp =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  switch (field.fieldId) {
    case NVML_FI_DEV_POWER_AVERAGE:
    case NVML_FI_DEV_POWER_INSTANT:
      return set_unsigned(field, milliwatts(device));
    case NVML_FI_DEV_POWER_CURRENT_LIMIT:
      return set_unsigned(field, kPowerLimitMilliwatts);
    case NVML_FI_DEV_TEMPERATURE_SHUTDOWN_TLIMIT:
      return set_signed(field, kShutdownMargin);
    case NVML_FI_DEV_TEMPERATURE_SLOWDOWN_TLIMIT:
      return set_signed(field, kSlowdownMargin);
    case NVML_FI_DEV_TEMPERATURE_MEM_MAX_TLIMIT:
    case NVML_FI_DEV_TEMPERATURE_GPU_MAX_TLIMIT:
      return set_signed(field, kMaximumMargin);
    default:
      field.nvmlReturn = NVML_ERROR_NOT_SUPPORTED;
  }
}

}  // namespace

NVML_EXPORT nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, int sensor, unsigned* temperature) {
  const nvmlReturn_t status = check(device, temperature);
  if (status != NVML_SUCCESS) return status;
  if (sensor != 0) return NVML_ERROR_INVALID_ARGUMENT;
  *temperature = static_cast<unsigned>(health(device).temperature);
  return NVML_SUCCESS;
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t device, nvmlTemperature_v1_t* temperature) {
  const nvmlReturn_t status = check(device, temperature);
  if (status != NVML_SUCCESS) return status;
  if (temperature->version != NVML_STRUCT_VERSION(sizeof(nvmlTemperature_v1_t), 1u))
    return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
  if (temperature->sensorType != 0) return NVML_ERROR_INVALID_ARGUMENT;
  temperature->temperature = static_cast<int>(health(device).temperature);
  return NVML_SUCCESS;
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetMarginTemperature(nvmlDevice_t device, nvmlMarginTemperature_v1_t* margin) {
  const nvmlReturn_t status = check(device, margin);
  if (status != NVML_SUCCESS) return status;
  if (margin->version != NVML_STRUCT_VERSION(sizeof(nvmlMarginTemperature_v1_t), 1u))
    return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
  margin->marginTemperature = static_cast<int>(health(device).temperature_margin);
  return NVML_SUCCESS;
}

// Limits in degrees do not exist on this card; the T.Limit fields hold them as margins.
NVML_EXPORT nvmlReturn_t nvmlDeviceGetTemperatureThreshold(nvmlDevice_t device, int, unsigned* temperature) {
  const nvmlReturn_t status = check(device, temperature);
  return status == NVML_SUCCESS ? NVML_ERROR_NOT_SUPPORTED : status;
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int count, nvmlFieldValue_t* values) {
  const nvmlReturn_t status = check(device, values);
  if (status != NVML_SUCCESS) return status;
  if (count < 1) return NVML_ERROR_INVALID_ARGUMENT;
  for (int i = 0; i < count; ++i) answer(device, values[i]);
  return NVML_SUCCESS;
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t device, unsigned* power) {
  const nvmlReturn_t status = check(device, power);
  if (status == NVML_SUCCESS) *power = milliwatts(device);
  return status;
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetEnforcedPowerLimit(nvmlDevice_t device, unsigned* limit) {
  return give(device, limit, kPowerLimitMilliwatts);
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetPowerManagementLimit(nvmlDevice_t device, unsigned* limit) {
  return give(device, limit, kPowerLimitMilliwatts);
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetPowerManagementDefaultLimit(nvmlDevice_t device, unsigned* limit) {
  return give(device, limit, kPowerLimitMilliwatts);
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, unsigned type, unsigned* mhz) {
  return clock(device, type, false, mhz);
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t device, unsigned type, unsigned* mhz) {
  return clock(device, type, true, mhz);
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetCurrentClocksThrottleReasons(nvmlDevice_t device, unsigned long long* bits) {
  return reasons(device, bits);
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetCurrentClocksEventReasons(nvmlDevice_t device, unsigned long long* bits) {
  return reasons(device, bits);
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetSupportedClocksEventReasons(nvmlDevice_t device, unsigned long long* bits) {
  return give(device, bits, 0x1ffull);
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t* rates) {
  const nvmlReturn_t status = check(device, rates);
  if (status != NVML_SUCCESS) return status;
  const inject::Health now = health(device);
  *rates = {now.utilization, now.memory_utilization};
  return NVML_SUCCESS;
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetPcieThroughput(nvmlDevice_t device, int counter, unsigned* kilobytes) {
  const nvmlReturn_t status = check(device, kilobytes);
  if (status != NVML_SUCCESS) return status;
  if (counter != 0 && counter != 1) return NVML_ERROR_INVALID_ARGUMENT;
  *kilobytes = 0;
  return NVML_SUCCESS;
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetPerformanceState(nvmlDevice_t device, unsigned* state) {
  return give(device, state, 0u);
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetPersistenceMode(nvmlDevice_t device, unsigned* mode) {
  return give(device, mode, 1u);
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetComputeMode(nvmlDevice_t device, unsigned* mode) {
  return give(device, mode, 0u);
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetEccMode(nvmlDevice_t device, unsigned* current, unsigned* pending) {
  const nvmlReturn_t status = check(device, current, pending);
  if (status == NVML_SUCCESS) *current = *pending = 1;
  return status;
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t device, unsigned type, unsigned counter,
                                                     unsigned long long* count) {
  const nvmlReturn_t status = check(device, count);
  if (status != NVML_SUCCESS) return status;
  if (type > NVML_MEMORY_ERROR_TYPE_UNCORRECTED || counter > 1) return NVML_ERROR_INVALID_ARGUMENT;
  *count = type == NVML_MEMORY_ERROR_TYPE_UNCORRECTED ? health(device).ecc_errors : 0;
  return NVML_SUCCESS;
}

// All errors are of the card's DRAM (location 2).
NVML_EXPORT nvmlReturn_t nvmlDeviceGetMemoryErrorCounter(nvmlDevice_t device, unsigned type, unsigned counter,
                                                         unsigned location, unsigned long long* count) {
  const nvmlReturn_t status = check(device, count);
  if (status != NVML_SUCCESS) return status;
  if (location > 7) return NVML_ERROR_INVALID_ARGUMENT;
  if (location == 2) return nvmlDeviceGetTotalEccErrors(device, type, counter, count);
  *count = 0;
  return NVML_SUCCESS;
}

NVML_EXPORT nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned* current, unsigned* pending) {
  const nvmlReturn_t status = check(device, current, pending);
  if (status == NVML_SUCCESS) *current = *pending = 0;
  return status;
}
