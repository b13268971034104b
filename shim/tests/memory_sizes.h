// Sizes in the tests of memory.
#pragma once

#include <cstdint>

namespace loretoken {

constexpr uint64_t kMiB = uint64_t{1} << 20;

}  // namespace loretoken
