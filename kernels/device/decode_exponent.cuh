// Decoding of the exponent codecs: one shared-memory look-up gives the exponents of two values.
#ifndef LORETOKEN_DEVICE_DECODE_EXPONENT_CUH
#define LORETOKEN_DEVICE_DECODE_EXPONENT_CUH

#include "decode.cuh"

namespace loretoken {

// Expands the code table so that one look-up gives both symbols in place:
//   second symbol << (16 + shift) | first symbol << shift | length
template <CodecId Id>
__device__ __forceinline__ void fill_lookup(uint32_t* lookup, const CodeTable* table) {
  constexpr uint32_t kShift = Exponent<Id>::kShift, kMask = Exponent<Id>::kSymbolMask;
  const uint32_t base = __ldg(&table->symbol_base);
  for (uint32_t i = threadIdx.x; i < (1u << kCodeBits) / 8; i += kBlockThreads) {
    const uint4 packed = load16(table->decode + 8 * i);
    uint32_t out[8];
#pragma unroll
    for (int k = 0; k < 8; ++k) {
      const uint32_t entry = component(packed, k / 2) >> k % 2 * 16 & 0xFFFF;
      uint32_t first = entry & 63, second = entry >> 6 & 63;
      if (first) first += base;
      if (second) second += base;
      out[k] = (second & kMask) << (16 + kShift) | (first & kMask) << kShift | entry >> 12;
    }
    reinterpret_cast<uint4*>(lookup)[2 * i] = make_uint4(out[0], out[1], out[2], out[3]);
    reinterpret_cast<uint4*>(lookup)[2 * i + 1] = make_uint4(out[4], out[5], out[6], out[7]);
  }
}

// Reads a thread's codes from its tile's stream. The stream is held two bits early, so that the masked low bits are the
// byte offset into the look-up table. 64 bits are in registers, the next word is already loaded; refilled every second
// pair (two codes have at most 22 bits, 30 at worst).
struct BitReader {
  uint32_t low, high, next, taken;
  int valid;
  const uint32_t* words;

  __device__ __forceinline__ BitReader(const uint32_t* stream, uint32_t bit) {
    const uint32_t* at = stream + bit / 32;
    low = __funnelshift_r(at[0], at[1], bit);
    high = at[1] >> bit % 32;
    valid = 64 - static_cast<int>(bit % 32);
    next = at[2];
    words = at + 3;
    taken = 0;
  }
  // `pair` is a constant once the caller's loop is unrolled.
  __device__ __forceinline__ uint32_t read(const uint32_t* lookup, int pair) {
    constexpr uint32_t kOffsetMask = ((1u << kCodeBits) - 1) << 2;
    if (pair % 2 == 0 && pair) {
      valid -= static_cast<int>(taken & 0x7F);
      taken = 0;
      if (valid < 32) {
        low |= next << valid;
        high = __funnelshift_r(next, 0, 32 - valid);
        valid += 32;
        next = *words++;
      }
    }
    const uint32_t found =
        *reinterpret_cast<const uint32_t*>(reinterpret_cast<const uint8_t*>(lookup) + (low & kOffsetMask));
    taken += found;
    low = __funnelshift_r(low, high, found);
    high = __funnelshift_r(high, 0, found);
    return found;
  }
};

// Turns one pair's exponents and its other bits into raw words. `Planes` holds what the thread loaded ahead.
template <CodecId Id>
struct Planes;

template <>
struct Planes<CodecId::kExponent16> {
  uint4 sign_mantissa[4];

  __device__ __forceinline__ void load(const uint8_t* payload, bool) {
#pragma unroll
    for (int q = 0; q < 4; ++q) sign_mantissa[q] = load16(payload + warp_id() * 2048 + q * 512 + lane_id() * 16);
  }
  template <class Next>
  __device__ __forceinline__ uint4 piece(int g, Next&& next) const {
    uint32_t v[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const uint32_t bytes = component(sign_mantissa[g / 2], g % 2 * 2 + k / 2);
      const uint32_t doubled = __byte_perm(bytes, 0, k % 2 ? 0x3322 : 0x1100);
      v[k] = (next(4 * g + k) & 0x7F807F80) | (doubled & 0x807F807F);
    }
    return make_uint4(v[0], v[1], v[2], v[3]);
  }
};

template <>
struct Planes<CodecId::kExponentHalf> {
  uint4 low[4];
  uint2 top[3];

  __device__ __forceinline__ void load(const uint8_t* payload, bool) {
#pragma unroll
    for (int q = 0; q < 4; ++q) low[q] = load16(payload + warp_id() * 2048 + q * 512 + lane_id() * 16);
#pragma unroll
    for (int r = 0; r < 3; ++r)
      top[r] = __ldg(reinterpret_cast<const uint2*>(payload + 32768 + warp_id() * 768 + r * 256 + lane_id() * 8));
  }
  __device__ __forceinline__ uint32_t top_word(int i) const {
    return i % 2 ? top[i / 2].y : top[i / 2].x;
  }
  template <class Next>
  __device__ __forceinline__ uint4 piece(int g, Next&& next) const {
    uint32_t v[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const int pair = 4 * g + k, at = 6 * pair;
      const uint32_t bytes = __byte_perm(component(low[g / 2], g % 2 * 2 + k / 2), 0, k % 2 ? 0x4342 : 0x4140);
      const uint32_t bits = at % 32 <= 26 ? top_word(at / 32) >> at % 32
                                          : __funnelshift_r(top_word(at / 32), top_word(at / 32 + 1), at % 32);
      v[k] = (next(pair) & 0x7C007C00) | bytes | (bits & 3) << 8 | (bits & 4) << 13 | (bits & 0x18) << 21 |
             (bits & 0x20) << 26;
    }
    return make_uint4(v[0], v[1], v[2], v[3]);
  }
};

template <>
struct Planes<CodecId::kExponent32> {
  uint4 sign_mantissa[2];
  const uint8_t* low;  // null: lower half words are zero

  __device__ __forceinline__ void load(const uint8_t* payload, bool low_halves_zero) {
#pragma unroll
    for (int q = 0; q < 2; ++q) sign_mantissa[q] = load16(payload + warp_id() * 1024 + q * 512 + lane_id() * 16);
    low = low_halves_zero ? nullptr : payload + 16384 + warp_id() * 2048 + lane_id() * 16;
  }
  template <class Next>
  __device__ __forceinline__ uint4 piece(int g, Next&& next) const {
    uint32_t v[4];
    const uint32_t bytes = component(sign_mantissa[g / 4], g % 4);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const uint32_t doubled = __byte_perm(bytes, 0, half ? 0x3322 : 0x1100);
      const uint32_t upper = (next(2 * g + half) & 0x7F807F80) | (doubled & 0x807F807F);
      v[2 * half] = upper << 16;
      v[2 * half + 1] = upper & 0xFFFF0000;
    }
    if (low) {
      const uint2 halves = __ldg(reinterpret_cast<const uint2*>(low + g / 2 * 512 + g % 2 * 8));
      v[0] |= halves.x & 0xFFFF;
      v[1] |= halves.x >> 16;
      v[2] |= halves.y & 0xFFFF;
      v[3] |= halves.y >> 16;
    }
    return make_uint4(v[0], v[1], v[2], v[3]);
  }
};

// Applies the patches of this warp's tile; returns their change of the checksum. Patches are few: each warp reads the
// whole list.
template <CodecId Id, class Sink>
__device__ __forceinline__ uint64_t apply_patches(const uint32_t* patches, uint32_t count, const CodeTable* table,
                                                  Sink& sink) {
  constexpr bool kIs32 = Id == CodecId::kExponent32;
  constexpr uint32_t kField = Exponent<Id>::kSymbolMask << Exponent<Id>::kShift;
  const uint32_t placeholder = __ldg(&table->placeholder) << Exponent<Id>::kShift & kField;
  uint64_t change = 0;
  __syncwarp();  // the tile's pieces are put
  for (uint32_t i = lane_id(); i < count; i += 32) {
    const uint32_t patch = __ldg(patches + i), value = patch & 0xFFFF;
    const uint32_t half_word = kIs32 ? (patch >> 16) * 2 + 1 : patch >> 16;
    const uint32_t word = half_word / 2;
    if (word / 1024 != warp_id() || word >= kBlockWords) continue;
    const uint32_t old = (value & ~kField) | placeholder;
    sink.patch(half_word, value, old != value);
    const uint32_t shift = half_word % 2 * 16, thread = warp_id() * 32 + word / 4 % 32,
                   j = word / 128 % 8 * 4 + word % 4;
    change += (static_cast<uint64_t>(value << shift) - static_cast<uint64_t>(old << shift)) * word_key(j) *
              thread_key(thread);
  }
  return change;
}

// `table` must be the blob's table for this codec, the entry valid. Called by all threads of the CTA.
template <CodecId Id, class Sink>
__device__ __forceinline__ Decoded decode_exponent(const BlobEntry& entry, const uint8_t* payload,
                                                   const CodeTable* table, DecodeShared& shared, Sink& sink) {
  const uint8_t* meta = payload + ExponentLayout::plane_bytes(Id, entry.params);
  const auto* tile_end = reinterpret_cast<const uint16_t*>(meta + ExponentLayout::kUnits);
  const uint32_t units = __ldg(meta + threadIdx.x);
  uint32_t end = __ldg(tile_end + warp_id()), start = warp_id() ? __ldg(tile_end + warp_id() - 1) : 0;
  Planes<Id> planes;
  planes.load(payload, entry.params & ExponentLayout::kLowHalvesZero);

  const uint32_t before = warp_exclusive_sum(units) * ExponentLayout::unit_bits(Id);
  const uint32_t tile_bits = before + units * ExponentLayout::unit_bits(Id);  // in the last lane
  bool malformed = start > end || end > ExponentLayout::stream_words(entry.params) || end - start > kStreamWordsMax<Id>;
  if (malformed) start = end = 0;
  malformed |= lane_id() == 31 && (tile_bits + 31) / 32 != end - start;
  uint32_t* buffer = shared.stream[warp_id()];
  const uint32_t first = start * 4 & ~15u;
  for (uint32_t at = first + lane_id() * 16; at < end * 4; at += 512)
    copy16_async(reinterpret_cast<uint8_t*>(buffer) + 16 + at - first, meta + ExponentLayout::kMeta + at);
  fill_lookup<Id>(shared.lookup, table);
  const uint32_t tile_bit = min(before, (end - start) * 32);
  wait_copies();  // the stream's, and what the sink began
  __syncthreads();

  BitReader reader(buffer, 128 - 2 + start * 32 - first * 8 + tile_bit);
  uint64_t sum = 0;
#pragma unroll
  for (int g = 0; g < 8; ++g) {
    const uint4 v = planes.piece(g, [&](int pair) { return reader.read(shared.lookup, pair); });
    sum += piece_sum(v, g);
    sink.put(g, v);
  }
  sum *= thread_key(threadIdx.x);
  const uint32_t patches = ExponentLayout::patches(entry.params);
  if (patches)
    sum +=
        apply_patches<Id>(reinterpret_cast<const uint32_t*>(payload + ExponentLayout::patch_offset(Id, entry.params)),
                          patches, table, sink);
  return {sum, malformed};
}

}  // namespace loretoken

#endif  // LORETOKEN_DEVICE_DECODE_EXPONENT_CUH
