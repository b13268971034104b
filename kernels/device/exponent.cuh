// The three exponent codecs described by traits: where symbols sit in a word, what is left over.
#ifndef LORETOKEN_DEVICE_EXPONENT_CUH
#define LORETOKEN_DEVICE_EXPONENT_CUH

#include "block.cuh"

namespace loretoken {

// kPairs: symbol pairs per thread. kShift: where symbols sit in a half word. A pair is a word for the 16-bit types and
// the upper halves of two neighbouring words for fp32; pair_of() brings both to the first form.
template <CodecId Id>
struct Exponent;

template <>
struct Exponent<CodecId::kExponent16> {
  static constexpr uint32_t kPairs = 32, kShift = 7, kSymbolMask = 0xFF;
};
template <>
struct Exponent<CodecId::kExponentHalf> {
  static constexpr uint32_t kPairs = 32, kShift = 10, kSymbolMask = 0x1F;
};
template <>
struct Exponent<CodecId::kExponent32> {
  static constexpr uint32_t kPairs = 16, kShift = 7, kSymbolMask = 0xFF;
};

template <CodecId Id>
constexpr uint32_t kStreamWordsMax = Exponent<Id>::kPairs* kCodeBits;  // of a tile: 32 threads, pairs, bits, / 32

// Both symbol fields of a pair word.
template <CodecId Id>
constexpr uint32_t kFields =
    Exponent<Id>::kSymbolMask << Exponent<Id>::kShift | Exponent<Id>::kSymbolMask << (Exponent<Id>::kShift + 16);

template <CodecId Id>
__device__ __forceinline__ uint32_t pair_of(const uint4 (&words)[8], int pair) {
  if constexpr (Id == CodecId::kExponent32) {
    const uint4 v = words[pair / 2];
    return pair % 2 ? __byte_perm(v.z, v.w, 0x7632) : __byte_perm(v.x, v.y, 0x7632);
  } else {
    return component(words[pair / 4], pair % 4);
  }
}

// Looks a pair up: code, length << 16, escape flag in bit 31.
template <CodecId Id>
__device__ __forceinline__ uint32_t encode_pair(const EncodeTable& table, uint32_t pair) {
  using E = Exponent<Id>;
  const uint32_t first = table.index[pair >> E::kShift & E::kSymbolMask];
  const uint32_t second = table.index[pair >> (E::kShift + 16) & E::kSymbolMask];
  return table.code[first + 16 * second];
}

// Number of values of a pair (1 or 2) without a code, given that encode_pair set bit 31.
template <CodecId Id>
__device__ __forceinline__ bool is_patched(const EncodeTable& table, uint32_t value) {
  return table.index[value >> Exponent<Id>::kShift & Exponent<Id>::kSymbolMask] == kNoCode;
}

// Index that a patch names: half word of the block, or word for fp32.
template <CodecId Id>
__device__ __forceinline__ uint32_t value_index(int pair, int half) {
  if constexpr (Id == CodecId::kExponent32) {
    const int word = 2 * pair + half;
    return warp_id() * 1024 + word / 4 * 128 + lane_id() * 4 + word % 4;
  } else {
    return 2 * (warp_id() * 1024 + pair / 4 * 128 + lane_id() * 4 + pair % 4) + half;
  }
}

}  // namespace loretoken

#endif  // LORETOKEN_DEVICE_EXPONENT_CUH
