// Mapping and laying out the telemetry file.
#pragma once

#include "loretoken/abi.h"

namespace loretoken {

// The file at `path`, created or grown to full size and laid out if it is new, mapped shared. nullptr, with a warning
// that says why, when it cannot be used. A file laid out by a newer minor version is used as it is; another major
// version is refused.
loretoken_telemetry* map_telemetry(const char* path);

// The same layout in private memory. Never nullptr.
loretoken_telemetry* private_telemetry();

// Whether a process with this pid and start time exists in our pid namespace. start_time 0: any.
bool process_alive(uint32_t pid, uint64_t start_time);
// Field 22 of /proc/<pid>/stat; 0 if there is no such process.
uint64_t process_start_time(uint32_t pid);

}  // namespace loretoken
