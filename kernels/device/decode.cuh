// Decoding of one block by 512 threads, into a sink: the raw memory (unpack) or a comparison with it (verify).
//
// Nothing read from the blob is trusted: offsets and lengths are checked by the caller (entry_valid), positions inside
// a stream are clamped here, and whatever comes out is judged by the checksum.
#ifndef LORETOKEN_DEVICE_DECODE_CUH
#define LORETOKEN_DEVICE_DECODE_CUH

#include "exponent.cuh"

namespace loretoken {

// A tile's stream in shared memory. A damaged code table can have lengths of up to 15 bits, so a thread whose start was
// clamped to the tile's end reads at most kOverrun words further.
constexpr uint32_t kTileWordsMax = kStreamWordsMax<CodecId::kExponent16>;
constexpr uint32_t kOverrun = 24;
constexpr uint32_t kTileBuffer = (4 + kTileWordsMax + 4 + kOverrun + 3) / 4 * 4;

struct DecodeShared {
  alignas(16) uint32_t lookup[1u << kCodeBits];
  alignas(16) uint32_t stream[kTiles][kTileBuffer];
};

// Writes the decoded pieces to raw memory.
struct StoreSink {
  uint8_t* raw;
  uint32_t bytes;

  __device__ __forceinline__ void put(int g, uint4 v) {
    if (bytes == kBlockBytes)
      store16(raw + piece_offset(g), v);
    else
      store_tail(raw, piece_offset(g), bytes, v);
  }
  // Replaces a half word after the warp's pieces were put.
  __device__ __forceinline__ void patch(uint32_t half_word, uint32_t value, bool) {
    reinterpret_cast<uint16_t*>(raw)[half_word] = static_cast<uint16_t>(value);
  }
  __device__ __forceinline__ int difference() const { return 0; }
};

// Counts half words that differ from raw memory; a patch that brings the right value in takes one back.
struct CompareSink {
  const uint8_t* raw;
  uint32_t bytes;
  int differing = 0;

  __device__ __forceinline__ void compare(uint32_t a, uint32_t b) {
    const uint32_t bits = a ^ b;
    if (bits) differing += ((bits & 0xFFFF) != 0) + (bits >> 16 != 0);
  }
  __device__ __forceinline__ void put(int g, uint4 v) {
    const uint4 expected =
        bytes == kBlockBytes ? load16(raw + piece_offset(g)) : load_tail(raw, piece_offset(g), bytes);
    compare(v.x, expected.x);
    compare(v.y, expected.y);
    compare(v.z, expected.z);
    compare(v.w, expected.w);
  }
  // `alters`: the patch changes what was put before.
  __device__ __forceinline__ void patch(uint32_t half_word, uint32_t value, bool alters) {
    if (alters) differing -= reinterpret_cast<const uint16_t*>(raw)[half_word] == value ? 1 : -1;
  }
  __device__ __forceinline__ int difference() const { return differing; }
};

// What a thread knows after decoding its part of a block.
struct Decoded {
  uint64_t sum;
  bool malformed;
};

template <class Sink>
__device__ __forceinline__ uint64_t decode_raw(const uint8_t* payload, uint32_t bytes, Sink& sink) {
  uint64_t sum = 0;
#pragma unroll
  for (int g = 0; g < 8; ++g) {
    const uint4 v =
        bytes == kBlockBytes ? load16(payload + piece_offset(g)) : load_tail(payload, piece_offset(g), bytes);
    sum += piece_sum(v, g);
    sink.put(g, v);
  }
  return sum * thread_key(threadIdx.x);
}

template <class Sink>
__device__ __forceinline__ uint64_t decode_constant(const BlobEntry& entry, const uint8_t* payload, uint32_t bytes,
                                                    Sink& sink) {
  const uint32_t low = static_cast<uint32_t>(entry.params), high = static_cast<uint32_t>(entry.params >> 32);
  const uint4 pattern = entry_length(entry) ? load16(payload) : make_uint4(low, high, low, high);
  uint64_t sum = 0;
#pragma unroll
  for (int g = 0; g < 8; ++g) {
    uint4 v = pattern;
    if (bytes != kBlockBytes) {
      const uint32_t at = piece_offset(g);
      v = make_uint4(clear_tail(v.x, at, bytes), clear_tail(v.y, at + 4, bytes), clear_tail(v.z, at + 8, bytes),
                     clear_tail(v.w, at + 12, bytes));
    }
    sum += piece_sum(v, g);
    sink.put(g, v);
  }
  return sum * thread_key(threadIdx.x);
}

template <class Sink>
__device__ __forceinline__ Decoded decode_zero_run(const BlobEntry& entry, const uint8_t* payload, uint32_t bytes,
                                                   Sink& sink) {
  const auto total = static_cast<uint32_t>(entry.params);
  const uint32_t mask = __ldg(reinterpret_cast<const uint32_t*>(payload) + threadIdx.x);
  const uint32_t start = __ldg(reinterpret_cast<const uint16_t*>(payload + ZeroRunLayout::kTileStart) + warp_id());
  const auto* values = reinterpret_cast<const uint32_t*>(payload + ZeroRunLayout::kValues);
  uint32_t next = start + warp_exclusive_sum(__popc(mask));
  const bool malformed = next + __popc(mask) > total;
  if (malformed) next = 0;
  uint64_t sum = 0;
#pragma unroll
  for (int g = 0; g < 8; ++g) {
    uint32_t v[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      v[k] = !malformed && (mask >> (4 * g + k) & 1) ? __ldg(values + next++) : 0;
      if (bytes != kBlockBytes) v[k] = clear_tail(v[k], piece_offset(g) + 4 * k, bytes);
    }
    const uint4 piece = make_uint4(v[0], v[1], v[2], v[3]);
    sum += piece_sum(piece, g);
    sink.put(g, piece);
  }
  return {sum * thread_key(threadIdx.x), malformed};
}

}  // namespace loretoken

#endif  // LORETOKEN_DEVICE_DECODE_CUH
