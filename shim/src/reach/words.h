// Which 8-byte words of some bytes could be addresses: looked at in steps of 4 bytes, as kernels read them.
#pragma once

#include <cstdint>
#include <cstring>

// The program's memory is read as it is at the moment, beside whoever writes it.
#define LORETOKEN_READS_FOREIGN_MEMORY __attribute__((no_sanitize("thread")))

namespace loretoken {

// Addresses from lo to hi, hi excluded.
struct AddressSpan {
  uint64_t lo = 0;
  uint64_t hi = 0;
  bool contains(uint64_t address) const { return address - lo < hi - lo; }
};

// First offset >= from, a multiple of 4 from `data`, whose upper half can belong to an address of the span; `bytes` if
// there is none. Vectorised: about 10 GB/s and more per core. `data` may have any alignment.
LORETOKEN_READS_FOREIGN_MEMORY uint64_t next_candidate(const unsigned char* data, uint64_t bytes, uint64_t from,
                                                       AddressSpan span);

// Calls visit(word) for every word of [data, data + bytes) at 4-byte steps that lies in the span. `skew` is the
// distance from `data` to the first 4-byte boundary of the memory the bytes are for (0–3).
template <class Visit>
LORETOKEN_READS_FOREIGN_MEMORY void for_words_in(const void* data, uint64_t bytes, uint32_t skew, AddressSpan span,
                                                 Visit&& visit) {
  if (bytes < skew + 8) return;
  const auto* bytes_at = static_cast<const unsigned char*>(data) + skew;
  const uint64_t count = bytes - skew;
  for (uint64_t at = next_candidate(bytes_at, count, 0, span); at + 8 <= count;
       at = next_candidate(bytes_at, count, at + 4, span)) {
    uint64_t word;
    std::memcpy(&word, bytes_at + at, sizeof(word));
    if (span.contains(word)) visit(word);
  }
}

}  // namespace loretoken
