// Writing of a block's payload, once its codec, place and exact size are known.
#ifndef LORETOKEN_DEVICE_PAYLOAD_CUH
#define LORETOKEN_DEVICE_PAYLOAD_CUH

#include "facts.cuh"

namespace loretoken {

constexpr uint32_t kStreamWords = kTiles * kStreamWordsMax<CodecId::kExponent16>;

struct PackShared {
  EncodeTable table;
  TileFacts tiles;
  uint32_t slots[kSlotWords][kBlockThreads];
  alignas(16) uint32_t stream[kStreamWords + 8];
  uint32_t patches[ExponentLayout::kMaxPatches];
  uint32_t patch_count;
  BlobEntry entry;
  bool fits, same;
};
static_assert(sizeof(PackShared) <= kPackSharedBytes);

// Bits 8, 9 and 15 of both halves in six bits: low half first.
__device__ __forceinline__ uint32_t top_bits_of_half(uint32_t word) {
  return (word >> 8 & 3) | (word >> 13 & 4) | (word >> 21 & 0x18) | (word >> 26 & 0x20);
}

// Sign and mantissa of the four bf16-like values of two pairs, one byte each.
__device__ __forceinline__ uint32_t sign_mantissa(uint32_t a, uint32_t b) {
  a = (a & 0x007F007F) | (a >> 8 & 0x00800080);
  b = (b & 0x007F007F) | (b >> 8 & 0x00800080);
  return __byte_perm(a, b, 0x6420);
}

template <CodecId Id>
__device__ __forceinline__ void write_planes(const uint4 (&words)[8], uint8_t* payload, bool low_halves) {
  const uint32_t warp = warp_id(), lane = lane_id();
  if constexpr (Id == CodecId::kExponent16) {
#pragma unroll
    for (int q = 0; q < 4; ++q) {
      const uint4 a = words[2 * q], b = words[2 * q + 1];
      store16(payload + warp * 2048 + q * 512 + lane * 16,
              make_uint4(sign_mantissa(a.x, a.y), sign_mantissa(a.z, a.w), sign_mantissa(b.x, b.y),
                         sign_mantissa(b.z, b.w)));
    }
  } else if constexpr (Id == CodecId::kExponentHalf) {
    uint32_t top[6] = {0, 0, 0, 0, 0, 0};
#pragma unroll
    for (int q = 0; q < 4; ++q) {
      const uint4 a = words[2 * q], b = words[2 * q + 1];
      store16(payload + warp * 2048 + q * 512 + lane * 16,
              make_uint4(__byte_perm(a.x, a.y, 0x6420), __byte_perm(a.z, a.w, 0x6420), __byte_perm(b.x, b.y, 0x6420),
                         __byte_perm(b.z, b.w, 0x6420)));
    }
#pragma unroll
    for (int j = 0; j < 32; ++j) {
      const uint32_t bits = top_bits_of_half(component(words[j / 4], j % 4));
      top[6 * j / 32] |= bits << 6 * j % 32;
      if (6 * j % 32 > 26) top[6 * j / 32 + 1] |= bits >> (32 - 6 * j % 32);
    }
#pragma unroll
    for (int r = 0; r < 3; ++r)
      *reinterpret_cast<uint2*>(payload + 32768 + warp * 768 + r * 256 + lane * 8) =
          make_uint2(top[2 * r], top[2 * r + 1]);
  } else {
#pragma unroll
    for (int q = 0; q < 2; ++q) {
      uint32_t packed[4];
#pragma unroll
      for (int i = 0; i < 4; ++i)
        packed[i] = sign_mantissa(pair_of<Id>(words, 8 * q + 2 * i), pair_of<Id>(words, 8 * q + 2 * i + 1));
      store16(payload + warp * 1024 + q * 512 + lane * 16, make_uint4(packed[0], packed[1], packed[2], packed[3]));
    }
    if (low_halves) {
#pragma unroll
      for (int q = 0; q < 4; ++q) {
        const uint4 a = words[2 * q], b = words[2 * q + 1];
        store16(payload + 16384 + warp * 2048 + q * 512 + lane * 16,
                make_uint4(__byte_perm(a.x, a.y, 0x5410), __byte_perm(a.z, a.w, 0x5410), __byte_perm(b.x, b.y, 0x5410),
                           __byte_perm(b.z, b.w, 0x5410)));
      }
    }
  }
}

// Planes from registers; the stream is put together in shared memory, which must be zero before.
template <CodecId Id>
__device__ __forceinline__ void write_exponent(const uint4 (&words)[8], uint8_t* payload, uint64_t params,
                                               const ThreadStream& own, PackShared& shared) {
  constexpr uint32_t kUnit = ExponentLayout::unit_bits(Id);
  write_planes<Id>(words, payload, !(params & ExponentLayout::kLowHalvesZero));
  uint32_t first = 0;
#pragma unroll
  for (uint32_t tile = 0; tile < kTiles; ++tile)
    if (tile < warp_id()) first += shared.tiles.words[tile];
  uint8_t* meta = payload + ExponentLayout::plane_bytes(Id, params);
  meta[threadIdx.x] = static_cast<uint8_t>(own.units);
  if (lane_id() == 31)
    reinterpret_cast<uint16_t*>(meta + ExponentLayout::kUnits)[warp_id()] =
        static_cast<uint16_t>(first + shared.tiles.words[warp_id()]);

  // Neighbouring threads share the word where one stream ends and the next begins.
  const uint32_t position = first * 32 + own.before * kUnit, shift = position % 32;
  uint32_t* to = shared.stream + position / 32;
  uint32_t previous = 0;
  for (uint32_t i = 0; i * 32 < own.bits; ++i) {
    const uint32_t word = shared.slots[i][threadIdx.x];
    atomicOr(to++, __funnelshift_l(previous, word, shift));
    previous = word;
  }
  const uint32_t rest = __funnelshift_l(previous, 0, shift);
  if (rest) atomicOr(to, rest);
  __syncthreads();

  for (uint32_t i = threadIdx.x; i < (ExponentLayout::stream_words(params) + 3) / 4; i += kBlockThreads)
    store16(meta + ExponentLayout::kMeta + 16 * i, reinterpret_cast<const uint4*>(shared.stream)[i]);
  for (uint32_t i = threadIdx.x; i < ExponentLayout::patches(params); i += kBlockThreads)
    reinterpret_cast<uint32_t*>(payload + ExponentLayout::patch_offset(Id, params))[i] = shared.patches[i];
}

__device__ __forceinline__ void write_zero_run(const uint4 (&words)[8], uint8_t* payload, const TileFacts& tiles) {
  uint32_t mask = 0;
#pragma unroll
  for (int j = 0; j < 32; ++j) mask |= static_cast<uint32_t>(component(words[j / 4], j % 4) != 0) << j;
  uint32_t first = 0;
#pragma unroll
  for (uint32_t tile = 0; tile < kTiles; ++tile)
    if (tile < warp_id()) first += tiles.nonzero[tile];
  const uint32_t before = warp_exclusive_sum(__popc(mask));
  reinterpret_cast<uint32_t*>(payload)[threadIdx.x] = mask;
  if (lane_id() == 0)
    reinterpret_cast<uint16_t*>(payload + ZeroRunLayout::kTileStart)[warp_id()] = static_cast<uint16_t>(first);
  auto* values = reinterpret_cast<uint32_t*>(payload + ZeroRunLayout::kValues) + first + before;
#pragma unroll
  for (int j = 0; j < 32; ++j)
    if (mask >> j & 1) *values++ = component(words[j / 4], j % 4);
}

__device__ __forceinline__ void write_raw(const uint4 (&words)[8], uint8_t* payload, uint32_t bytes) {
#pragma unroll
  for (int g = 0; g < 8; ++g) {
    if (bytes == kBlockBytes)
      store16(payload + piece_offset(g), words[g]);
    else
      store_tail(payload, piece_offset(g), bytes, words[g]);
  }
}

// `entry` must be what choose_codec said of this block. Reads the raw bytes a second time, from L1 or L2: keeping them
// in registers while the stream is coded would spill more than that.
__device__ __forceinline__ void write_payload(const uint8_t* raw, uint32_t bytes, const BlobEntry& entry,
                                              uint8_t* payload, const ThreadStream& stream, PackShared& shared) {
  const CodecId codec = entry_codec(entry);
  if (codec == CodecId::kConstant) {
    if (entry_length(entry) && threadIdx.x == 0) store16(payload, pattern_of(raw, bytes));
    return;
  }
  uint4 words[8];
  load_words(words, forget(raw), bytes);
  switch (codec) {
    case CodecId::kZeroRun:
      write_zero_run(words, payload, shared.tiles);
      break;
    case CodecId::kExponent16:
      write_exponent<CodecId::kExponent16>(words, payload, entry.params, stream, shared);
      break;
    case CodecId::kExponentHalf:
      write_exponent<CodecId::kExponentHalf>(words, payload, entry.params, stream, shared);
      break;
    case CodecId::kExponent32:
      write_exponent<CodecId::kExponent32>(words, payload, entry.params, stream, shared);
      break;
    default:
      write_raw(words, payload, bytes);
  }
}

}  // namespace loretoken

#endif  // LORETOKEN_DEVICE_PAYLOAD_CUH
