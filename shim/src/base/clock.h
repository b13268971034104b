#pragma once

#include <cstdint>

namespace loretoken {

// CLOCK_MONOTONIC, nanoseconds. ~20 ns.
uint64_t now_ns();

}  // namespace loretoken
