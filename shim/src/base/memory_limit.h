// How much host memory this process may use.
#pragma once

#include <cstdint>

namespace loretoken {

// Bytes: the machine's memory, or what the process's control group allows if that is less; a container that takes more
// is killed. `proc`, `cgroups`: where the kernel tells it. Group files as in Documentation/admin-guide/cgroup-v2.rst
// (memory.max) and cgroup-v1/memory.rst (memory.limit_in_bytes); inside a container its own group is the root of the
// mount, otherwise /proc/self/cgroup has the path, each of whose levels counts.
uint64_t usable_memory(const char* proc = "/proc", const char* cgroups = "/sys/fs/cgroup");

}  // namespace loretoken
