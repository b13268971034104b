// The hash over what a program read back: FNV-1a over words.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fuzz {

constexpr uint64_t kHashStart = 1469598103934665603ull;

inline uint64_t fnv(uint64_t hash, const void* data, size_t bytes) {
  const auto* p = static_cast<const uint64_t*>(data);
  for (size_t i = 0; i < bytes / 8; ++i) hash = (hash ^ p[i]) * 1099511628211ull;
  const auto* tail = static_cast<const uint8_t*>(data) + bytes / 8 * 8;
  for (size_t i = 0; i < bytes % 8; ++i) hash = (hash ^ tail[i]) * 1099511628211ull;
  return hash;
}

}  // namespace fuzz
