// The name by which NVML knows a device of the driver.
#pragma once

#include <cstddef>

namespace loretoken {

inline constexpr size_t kUuidText = 96;  // NVML_DEVICE_UUID_V2_BUFFER_SIZE

// "GPU-" and the device's UUID in lower-case hexadecimal digits, 8-4-4-4-12: of the whole card, also where the process
// has a MIG instance of it. False: the driver does not tell (not initialised, no such ordinal).
bool uuid_text(int ordinal, char (*text)[kUuidText]);

}  // namespace loretoken
