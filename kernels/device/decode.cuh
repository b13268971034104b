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
  alignas(16) BlobHeader header;  // for the final judgement, fetched while the block is decoded
  uint64_t expected_sum;
  alignas(16) uint32_t lookup[1u << kCodeBits];
  alignas(16) uint32_t stream[kTiles][kTileBuffer];
};

// 16 bytes from global to shared memory without passing registers.
__device__ __forceinline__ void copy16_async(void* shared, const void* global) {
#if defined(__CUDA_ARCH__)
  asm volatile(
      "cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(static_cast<uint32_t>(__cvta_generic_to_shared(shared))),
      "l"(global)
      : "memory");
#else
  *static_cast<uint4*>(shared) = *static_cast<const uint4*>(global);
#endif
}
__device__ __forceinline__ void copy8_async(void* shared, const void* global) {
#if defined(__CUDA_ARCH__)
  asm volatile(
      "cp.async.ca.shared.global [%0], [%1], 8;" ::"r"(static_cast<uint32_t>(__cvta_generic_to_shared(shared))),
      "l"(global)
      : "memory");
#else
  *static_cast<uint64_t*>(shared) = *static_cast<const uint64_t*>(global);
#endif
}
// Waits for this thread's copies.
__device__ __forceinline__ void wait_copies() {
#if defined(__CUDA_ARCH__)
  asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}

// Writes the decoded pieces to raw memory.
struct StoreSink {
  uint8_t* raw;
  uint32_t bytes;

  __device__ __forceinline__ void begin() {}
  __device__ __forceinline__ void put(int g, uint4 v) { store16(raw + piece_offset(g), v); }
  __device__ __forceinline__ void put_tail(int g, uint4 v) { store_tail(raw, piece_offset(g), bytes, v); }
  // Replaces a half word after the warp's pieces were put.
  __device__ __forceinline__ void patch(uint32_t half_word, uint32_t value, bool) {
    reinterpret_cast<uint16_t*>(raw)[half_word] = static_cast<uint16_t>(value);
  }
};

// Counts half words that differ from raw memory; a patch that brings the right value in takes one back. `ahead` holds
// this thread's pieces of a whole block, copied to shared memory while the blob was being fetched.
struct CompareSink {
  const uint8_t* raw;
  uint32_t bytes;
  const uint4* ahead;
  int differing = 0;

  __device__ __forceinline__ void compare(uint4 a, uint4 b) {
    const uint32_t bits[4] = {a.x ^ b.x, a.y ^ b.y, a.z ^ b.z, a.w ^ b.w};
    if (!(bits[0] | bits[1] | bits[2] | bits[3])) return;
#pragma unroll
    for (int k = 0; k < 4; ++k) differing += ((bits[k] & 0xFFFF) != 0) + (bits[k] >> 16 != 0);
  }
  __device__ __forceinline__ void begin() {
    wait_copies();
  }
  __device__ __forceinline__ void put(int g, uint4 v) {
    compare(v, ahead[g * kBlockThreads + threadIdx.x]);
  }
  __device__ __forceinline__ void put_tail(int g, uint4 v) {
    compare(v, load_tail(raw, piece_offset(g), bytes));
  }
  // `alters`: the patch changes what was put before.
  __device__ __forceinline__ void patch(uint32_t half_word, uint32_t value, bool alters) {
    if (alters) differing -= reinterpret_cast<const uint16_t*>(raw)[half_word] == value ? 1 : -1;
  }
};

// What a thread knows after decoding its part of a block.
struct Decoded {
  uint64_t sum;
  bool malformed;
};

// Puts the pieces that `piece(g)` makes: eight at once for a whole block, else one after the other with care for the
// end.
template <class Sink, class Piece>
__device__ __forceinline__ uint64_t put_pieces(uint32_t bytes, Sink& sink, Piece&& piece) {
  uint64_t sum = 0;
  sink.begin();
  if (bytes == kBlockBytes) {
#pragma unroll
    for (int g = 0; g < 8; ++g) {
      const uint4 v = piece(g);
      sum += piece_sum(v, g);
      sink.put(g, v);
    }
  } else {
#pragma unroll 1
    for (int g = 0; g < 8; ++g) {
      uint4 v = piece(g);
      const uint32_t at = piece_offset(g);
      v = make_uint4(clear_tail(v.x, at, bytes), clear_tail(v.y, at + 4, bytes), clear_tail(v.z, at + 8, bytes),
                     clear_tail(v.w, at + 12, bytes));
      sum += piece_sum(v, g);
      sink.put_tail(g, v);
    }
  }
  return sum * thread_key(threadIdx.x);
}

template <class Sink>
__device__ __forceinline__ uint64_t decode_raw(const uint8_t* payload, uint32_t bytes, Sink& sink) {
  return put_pieces(bytes, sink, [&](int g) {
    return bytes == kBlockBytes ? load16(payload + piece_offset(g)) : load_tail(payload, piece_offset(g), bytes);
  });
}

template <class Sink>
__device__ __forceinline__ uint64_t decode_constant(const BlobEntry& entry, const uint8_t* payload, uint32_t bytes,
                                                    Sink& sink) {
  const uint32_t low = static_cast<uint32_t>(entry.params), high = static_cast<uint32_t>(entry.params >> 32);
  const uint4 pattern = entry_length(entry) ? load16(payload) : make_uint4(low, high, low, high);
  return put_pieces(bytes, sink, [&](int) { return pattern; });
}

template <class Sink>
__device__ __forceinline__ Decoded decode_zero_run(const BlobEntry& entry, const uint8_t* payload, uint32_t bytes,
                                                   Sink& sink) {
  const auto total = static_cast<uint32_t>(entry.params);
  uint32_t mask = __ldg(reinterpret_cast<const uint32_t*>(payload) + threadIdx.x);
  const uint32_t start = __ldg(reinterpret_cast<const uint16_t*>(payload + ZeroRunLayout::kTileStart) + warp_id());
  const uint32_t first = start + warp_exclusive_sum(__popc(mask));
  const bool malformed = first + __popc(mask) > total;
  if (malformed) mask = 0;
  const uint32_t* values = reinterpret_cast<const uint32_t*>(payload + ZeroRunLayout::kValues) + first;
  const uint64_t sum = put_pieces(bytes, sink, [&](int g) {
    uint32_t v[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const uint32_t bit = 1u << (4 * g + k);
      v[k] = mask & bit ? __ldg(values + __popc(mask & (bit - 1))) : 0;
    }
    return make_uint4(v[0], v[1], v[2], v[3]);
  });
  return {sum, malformed};
}

}  // namespace loretoken

#endif  // LORETOKEN_DEVICE_DECODE_CUH
