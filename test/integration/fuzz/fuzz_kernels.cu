// Kernels of the generated programs: plain arithmetic over words, and every way to come by an address.
#include "loretoken/kernel.h"

namespace {

__device__ uint32_t scramble(uint32_t x) {
  x ^= x >> 16;
  x *= 0x7FEB352Du;
  x ^= x >> 15;
  x *= 0x846CA68Bu;
  return x ^ (x >> 16);
}

__device__ uint32_t index() {
  return blockIdx.x * blockDim.x + threadIdx.x;
}

// This thread's share of `words`, in one piece: on a CPU strided shares read each cache line once per thread.
struct Share {
  uint32_t first, end;
};
__device__ Share share_of(uint32_t words) {
  const uint32_t threads = gridDim.x * blockDim.x, each = words / threads + 1, first = index() * each;
  return {first, first + each < words ? first + each : words};
}

}  // namespace

// Two addresses inside a struct, the second at an offset that is a multiple of 4 but not of 8 would need packing; the
// odd integers around them keep the scan honest.
struct Pair {
  uint32_t before;
  uint32_t words;
  const uint32_t* first;
  uint32_t between;
  uint32_t key;
  const uint32_t* second;
};

// kind 0 zero, 1 constant, 2 mostly zero, 3 bf16-like, 4 fp16-like, 5 fp32-like, else noise
LT_KERNEL_PLAIN(fuzz_fill, uint32_t* dst, uint32_t words, uint32_t seed, uint32_t kind) {
  const Share own = share_of(words);
  if (kind < 2) {
    for (uint32_t i = own.first; i < own.end; ++i) dst[i] = kind * seed;
    return;
  }
  for (uint32_t i = own.first; i < own.end; ++i) {
    const uint32_t r = scramble(i * 2654435761u + seed);
    uint32_t value = r;
    if (kind == 2) value = (r & 15) == 0 ? r : 0;
    if (kind == 3) value = (r & 0x807F807Fu) | 0x3C003D00u | ((r >> 7) & 0x01000100u);
    if (kind == 4) value = (r & 0x83FF83FFu) | 0x30003000u | ((r >> 6) & 0x04000400u);
    if (kind == 5) value = (r & 0x807FFFFFu) | 0x3E000000u | ((r >> 4) & 0x01800000u);
    dst[i] = value;
  }
}

LT_KERNEL_PLAIN(fuzz_mix, uint32_t* dst, const uint32_t* src, uint32_t words, uint32_t key) {
  for (auto [i, end] = share_of(words); i < end; ++i) dst[i] = (dst[i] << 3 | dst[i] >> 29) + (src[i] ^ key);
}

LT_KERNEL_PLAIN(fuzz_thin, uint32_t* dst, uint32_t words, uint32_t key) {
  for (auto [i, end] = share_of(words); i < end; ++i) {
    if ((scramble(i + key) & 7) != 0) dst[i] = 0;
  }
}

LT_KERNEL_PLAIN(fuzz_pair, uint32_t* dst, Pair pair) {
  for (auto [i, end] = share_of(pair.words); i < end; ++i) {
    dst[i] += (pair.first[i] ^ pair.second[i]) + pair.key + pair.before + pair.between;
  }
}

// Stores an address into memory: what the parameter scan of a later launch cannot see.
LT_KERNEL_PLAIN(fuzz_store, const uint32_t** table, uint32_t slot, const uint32_t* target) {
  if (index() == 0) table[slot] = target;
}

// Follows a stored address.
LT_KERNEL_PLAIN(fuzz_follow, uint32_t* dst, const uint32_t* const* table, uint32_t slot, uint32_t words) {
  const uint32_t* src = table[slot];
  for (auto [i, end] = share_of(words); i < end; ++i) dst[i] ^= src[i] + slot;
}

// table[slot] is the address of another table, whose inner slot is the address of the data.
LT_KERNEL_PLAIN(fuzz_follow_twice, uint32_t* dst, const uint32_t* const* const* table, uint32_t slot, uint32_t inner,
                uint32_t words) {
  const uint32_t* src = table[slot][inner];
  for (auto [i, end] = share_of(words); i < end; ++i) dst[i] ^= src[i] * 3 + inner;
}

// Writes through a stored address.
LT_KERNEL_PLAIN(fuzz_write_through, uint32_t* const* table, uint32_t slot, uint32_t words, uint32_t key) {
  uint32_t* dst = table[slot];
  for (auto [i, end] = share_of(words); i < end; ++i) dst[i] = scramble(dst[i] + key);
}
