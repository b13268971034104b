#include "reach/words.h"

namespace loretoken {
namespace {

using Lane = uint32_t;
typedef Lane Vector __attribute__((vector_size(16)));

LORETOKEN_READS_FOREIGN_MEMORY Lane load_half(const unsigned char* at) {
  Lane value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

}  // namespace

// The upper half of a word at offset o lies at o + 4. Blocks of 64 bytes are compared at once and only a block with a
// hit is looked at closer.
uint64_t next_candidate(const unsigned char* data, uint64_t bytes, uint64_t from, AddressSpan span) {
  if (span.hi <= span.lo || bytes < 8) return bytes;
  const auto low = static_cast<Lane>(span.lo >> 32);
  const auto width = static_cast<Lane>(((span.hi - 1) >> 32) - (span.lo >> 32));
  const Vector lows = {low, low, low, low};
  const Vector widths = {width, width, width, width};
  uint64_t at = from;
  const auto block_hits = [&](uint64_t offset) LORETOKEN_READS_FOREIGN_MEMORY {
    Vector hits = {0, 0, 0, 0};
    for (int i = 0; i < 4; ++i) {
      Vector value;
      std::memcpy(&value, data + offset + 4 + 16 * i, sizeof(value));
      hits |= (Vector)((value - lows) <= widths);
    }
    return (hits[0] | hits[1] | hits[2] | hits[3]) != 0;
  };
  while (at + 8 <= bytes) {
    if (at + 4 + 64 <= bytes && !block_hits(at)) {
      at += 64;
      continue;
    }
    const uint64_t block_end = at + 64;
    for (; at < block_end && at + 8 <= bytes; at += 4) {
      if (load_half(data + at + 4) - low <= width) return at;
    }
  }
  return bytes;
}

}  // namespace loretoken
