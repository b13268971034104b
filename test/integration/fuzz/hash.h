// The hash over what a program read back: FNV-1a over words, in four lanes since each step waits for the one before.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fuzz {

constexpr uint64_t kHashStart = 1469598103934665603ull;

inline uint64_t fnv(uint64_t hash, const void* data, size_t bytes) {
  constexpr uint64_t kPrime = 1099511628211ull;
  const auto* p = static_cast<const uint64_t*>(data);
  uint64_t lanes[4] = {hash, hash + 1, hash + 2, hash + 3};
  size_t i = 0;
  for (; i + 4 <= bytes / 8; i += 4) {
    for (size_t lane = 0; lane < 4; ++lane) lanes[lane] = (lanes[lane] ^ p[i + lane]) * kPrime;
  }
  hash = lanes[0];
  for (size_t lane = 1; lane < 4; ++lane) hash = (hash ^ lanes[lane]) * kPrime;
  const auto* bytes_of = static_cast<const uint8_t*>(data);
  for (i *= 8; i < bytes; ++i) hash = (hash ^ bytes_of[i]) * kPrime;
  return hash;
}

}  // namespace fuzz
