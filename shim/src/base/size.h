// Sizes as people write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace loretoken {

// Bytes, or a share of something that is known only later.
struct Size {
  uint64_t bytes = 0;
  double percent = 0;  // > 0: a share; bytes is 0 then
  bool given = false;  // false: the setting is not set and has no default
  uint64_t of(uint64_t whole) const {
    return percent > 0 ? static_cast<uint64_t>(static_cast<double>(whole) * percent / 100.0) : bytes;
  }
};

// "24GiB", "24GB", "512MiB", "1.5TiB", "4096" (bytes), "50%". Units without regard to case: B, K/M/G/T + B (powers of
// 1000) or iB (powers of 1024). nullopt: not a size, negative, or above 2^63.
std::optional<Size> parse_size(std::string_view text);

// "24.0 GiB"
std::string format_bytes(uint64_t bytes);

}  // namespace loretoken
