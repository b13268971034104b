// What an exponent codec keeps of a thread's words beside the coded symbols, in the shape it is stored.
#ifndef LORETOKEN_DEVICE_PLANES_CUH
#define LORETOKEN_DEVICE_PLANES_CUH

#include "exponent.cuh"

namespace loretoken {

// kExponent16: pieces 0 … 3 sign and mantissa. kExponentHalf: 0 … 3 low bytes, then six words of top bits.
// kExponent32: 0 … 1 sign and mantissa, 2 … 5 low half words. kRaw: none.
template <CodecId Id>
struct PlanePieces {
  uint4 piece[Id == CodecId::kRaw ? 1 : Id == CodecId::kExponent16 ? 4 : 6];
};

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

// Bytes or half words picked from two pieces of four words.
__device__ __forceinline__ uint4 pick(uint4 a, uint4 b, uint32_t selector) {
  return make_uint4(__byte_perm(a.x, a.y, selector), __byte_perm(a.z, a.w, selector), __byte_perm(b.x, b.y, selector),
                    __byte_perm(b.z, b.w, selector));
}

template <CodecId Id>
__device__ __forceinline__ void make_planes(const uint4 (&words)[8], PlanePieces<Id>& planes) {
  if constexpr (Id == CodecId::kExponent16) {
#pragma unroll
    for (int q = 0; q < 4; ++q) {
      const uint4 a = words[2 * q], b = words[2 * q + 1];
      planes.piece[q] = make_uint4(sign_mantissa(a.x, a.y), sign_mantissa(a.z, a.w), sign_mantissa(b.x, b.y),
                                   sign_mantissa(b.z, b.w));
    }
  } else if constexpr (Id == CodecId::kExponentHalf) {
    uint32_t top[6] = {0, 0, 0, 0, 0, 0};
#pragma unroll
    for (int q = 0; q < 4; ++q) planes.piece[q] = pick(words[2 * q], words[2 * q + 1], 0x6420);
#pragma unroll
    for (int j = 0; j < 32; ++j) {
      const uint32_t bits = top_bits_of_half(component(words[j / 4], j % 4));
      top[6 * j / 32] |= bits << 6 * j % 32;
      if (6 * j % 32 > 26) top[6 * j / 32 + 1] |= bits >> (32 - 6 * j % 32);
    }
    planes.piece[4] = make_uint4(top[0], top[1], top[2], top[3]);
    planes.piece[5] = make_uint4(top[4], top[5], 0, 0);
  } else {
#pragma unroll
    for (int q = 0; q < 2; ++q) {
      uint32_t packed[4];
#pragma unroll
      for (int i = 0; i < 4; ++i)
        packed[i] = sign_mantissa(pair_of<Id>(words, 8 * q + 2 * i), pair_of<Id>(words, 8 * q + 2 * i + 1));
      planes.piece[q] = make_uint4(packed[0], packed[1], packed[2], packed[3]);
    }
#pragma unroll
    for (int q = 0; q < 4; ++q) planes.piece[2 + q] = pick(words[2 * q], words[2 * q + 1], 0x5410);
  }
}

template <CodecId Id>
__device__ __forceinline__ void store_planes(const PlanePieces<Id>& planes, uint8_t* payload, bool low_halves) {
  const uint32_t warp = warp_id(), lane = lane_id();
  constexpr int kBytePieces = Id == CodecId::kExponent32 ? 2 : 4;
#pragma unroll
  for (int q = 0; q < kBytePieces; ++q)
    store16(payload + warp * 512 * kBytePieces + q * 512 + lane * 16, planes.piece[q]);
  if constexpr (Id == CodecId::kExponentHalf) {
    const uint4 a = planes.piece[4], b = planes.piece[5];
    const uint2 rows[3] = {make_uint2(a.x, a.y), make_uint2(a.z, a.w), make_uint2(b.x, b.y)};
#pragma unroll
    for (int r = 0; r < 3; ++r) *reinterpret_cast<uint2*>(payload + 32768 + warp * 768 + r * 256 + lane * 8) = rows[r];
  } else if (Id == CodecId::kExponent32 && low_halves) {
#pragma unroll
    for (int q = 0; q < 4; ++q) store16(payload + 16384 + warp * 2048 + q * 512 + lane * 16, planes.piece[2 + q]);
  }
}

}  // namespace loretoken

#endif  // LORETOKEN_DEVICE_PLANES_CUH
