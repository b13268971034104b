// One look at a block: what it holds, its exponent stream's size, and from that the smallest codec.
//
// analyse keeps only the facts; packing keeps the coded streams too, in the same walk over the block.
#ifndef LORETOKEN_DEVICE_FACTS_CUH
#define LORETOKEN_DEVICE_FACTS_CUH

#include "planes.cuh"

namespace loretoken {

constexpr uint32_t kSlotWords = 12;  // a thread's stream: 32 pairs of 11 bits are 11 words, one more is started

struct BlockFacts {
  uint32_t nonzero_words, patches, stream_words;
  bool constant, low_halves_zero;
};

// What a constant block repeats; read again because keeping it costs registers.
__device__ __forceinline__ uint4 pattern_of(const uint8_t* raw, uint32_t bytes) {
  return load_tail(raw, 0, bytes);
}

// This thread's part of the coded block.
struct ThreadStream {
  uint32_t bits, units, before;  // length, rounded up, units before it in its tile
};

// Where coded pairs and patches are kept; see PackShared.
struct StreamStore {
  uint32_t (*slots)[kBlockThreads];
  uint32_t* patches;
  uint32_t* patch_count;
};

// Codes this thread's pairs; returns the number of bits. Keep: into its slots and the list of patches, else only
// counts.
template <CodecId Id, bool Keep>
__device__ __forceinline__ uint32_t code_pairs(const uint4 (&words)[8], const EncodeTable& table, StreamStore store,
                                               uint32_t& patches) {
  uint32_t pending = 0, filled = 0, bits = 0;
  uint32_t* slot = Keep ? &store.slots[0][threadIdx.x] : nullptr;
#pragma unroll
  for (int pair = 0; pair < static_cast<int>(Exponent<Id>::kPairs); ++pair) {
    const uint32_t value = pair_of<Id>(words, pair);
    const uint32_t found = encode_pair<Id>(table, value);
    const uint32_t length = found >> 16 & 31;
    bits += length;
    if constexpr (Keep) {
      const uint32_t code = found & 0xFFFF;
      pending |= code << filled;
      const uint32_t carried = __funnelshift_l(code, 0, filled);
      filled += length;
      if (filled >= 32) {
        *slot = pending;
        slot += kBlockThreads;
        pending = carried;
        filled -= 32;
      }
    }
    if (found >> 31) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        if (!is_patched<Id>(table, value >> 16 * half)) continue;
        ++patches;
        if constexpr (Keep) {
          const uint32_t at = atomicAdd(store.patch_count, 1u);
          if (at < ExponentLayout::kMaxPatches)
            store.patches[at] = value_index<Id>(pair, half) << 16 | (value >> 16 * half & 0xFFFF);
        }
      }
    }
  }
  if (Keep && filled) *slot = pending;
  return bits;
}

struct TileFacts {
  uint32_t words[kTiles], patches[kTiles], nonzero[kTiles];
};

// What packing keeps beside the facts.
template <CodecId Id>
struct Kept {
  StreamStore store;
  uint64_t* sums;  // each warp's part of the checksum, complete after examine
  PlanePieces<Id>* planes;
};

// Looks at the whole block; every thread gets the facts. Id: the exponent codec to try, kRaw for none; `table` must be
// in place after the next barrier.
template <bool Keep, CodecId Id>
__device__ __forceinline__ BlockFacts examine(const uint8_t* raw, uint32_t bytes, const EncodeTable& table,
                                              Kept<Id> kept, TileFacts& tiles, ThreadStream& stream) {
  uint4 words[8];
  load_words(words, raw, bytes);
  const uint4 pattern = pattern_of(raw, bytes);
  if constexpr (Keep) {
#if defined(LORETOKEN_ON_HOST)
    add_in_order(kept.sums[warp_id()], words_sum(words), lane_id());
#else
    const uint64_t sum = warp_sum(words_sum(words));
    if (lane_id() == 0) kept.sums[warp_id()] = sum;
#endif
  }
  uint32_t nonzero = 0, low_bits = 0;
  bool differs = false;
#pragma unroll
  for (int g = 0; g < 8; ++g) {
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const uint32_t word = component(words[g], k), expected = component(pattern, k);
      nonzero += word != 0;
      low_bits |= word;
      differs |= word != (bytes == kBlockBytes ? expected : clear_tail(expected, piece_offset(g) + 4 * k, bytes));
    }
  }
  BlockFacts facts = {};
  facts.constant = !__syncthreads_or(differs);
  if (facts.constant) return facts;
  constexpr uint32_t kUnit = ExponentLayout::unit_bits(Id);
  if (Id == CodecId::kExponent32) facts.low_halves_zero = !__syncthreads_or((low_bits & 0xFFFF) != 0);
  uint32_t patches = 0;
  if constexpr (Id != CodecId::kRaw) {
    stream.bits = code_pairs<Id, Keep>(words, table, kept.store, patches);
    if constexpr (Keep) make_planes<Id>(words, *kept.planes);
    stream.units = (stream.bits + kUnit - 1) / kUnit;
    stream.before = warp_exclusive_sum(stream.units);
  }
#if defined(LORETOKEN_ON_HOST)
  add_in_order(tiles.patches[warp_id()], patches, lane_id());
  add_in_order(tiles.nonzero[warp_id()], nonzero, lane_id());
  if (lane_id() == 31) tiles.words[warp_id()] = ((stream.before + stream.units) * kUnit + 31) / 32;
#else
  patches = __reduce_add_sync(~0u, patches);
  nonzero = __reduce_add_sync(~0u, nonzero);
  if (lane_id() == 31) {
    tiles.words[warp_id()] = ((stream.before + stream.units) * kUnit + 31) / 32;
    tiles.patches[warp_id()] = patches;
    tiles.nonzero[warp_id()] = nonzero;
  }
#endif
  __syncthreads();
#pragma unroll
  for (uint32_t tile = 0; tile < kTiles; ++tile) {
    facts.stream_words += tiles.words[tile];
    facts.patches += tiles.patches[tile];
    facts.nonzero_words += tiles.nonzero[tile];
  }
  return facts;
}

// The smallest allowed codec with its exact payload length and parameters; the offset is left zero.
__device__ __forceinline__ BlobEntry choose_codec(const BlockFacts& facts, const uint8_t* raw, uint32_t bytes,
                                                  CodecId kind, CodecMask allowed) {
  uint32_t best = bytes, codec = static_cast<uint32_t>(CodecId::kRaw);
  uint64_t params = 0;
  auto consider = [&](CodecId id, uint32_t length, uint64_t with) {
    if ((allowed & codec_bit(id)) && length < best) best = length, codec = static_cast<uint32_t>(id), params = with;
  };
  if (facts.constant) {
    const uint4 pattern = pattern_of(raw, bytes);
    const bool short_pattern = bytes <= 8 || (pattern.x == pattern.z && pattern.y == pattern.w);
    if (short_pattern)
      consider(CodecId::kConstant, 0, static_cast<uint64_t>(pattern.y) << 32 | pattern.x);
    else
      consider(CodecId::kConstant, 16, 0);
  }
  if (kind != CodecId::kRaw && bytes == kBlockBytes && facts.patches <= ExponentLayout::kMaxPatches) {
    const uint64_t with = facts.patches | static_cast<uint64_t>(facts.stream_words) << 16 |
                          (facts.low_halves_zero && kind == CodecId::kExponent32 ? ExponentLayout::kLowHalvesZero : 0);
    // A saving of less than a sixteenth is not worth a decode.
    const uint32_t length = ExponentLayout::length(kind, with);
    if (length <= kBlockBytes - kBlockBytes / 16) consider(kind, length, with);
  }
  consider(CodecId::kZeroRun, ZeroRunLayout::kValues + 4 * facts.nonzero_words, facts.nonzero_words);
  return {0, best | codec << 24, params};
}

// Copies the job's encode table into shared memory; ready after the next barrier.
__device__ __forceinline__ void copy_table(EncodeTable& to, const EncodeTable& from) {
  for (uint32_t i = threadIdx.x; i < sizeof(EncodeTable) / 4; i += kBlockThreads)
    reinterpret_cast<uint32_t*>(&to)[i] = __ldg(reinterpret_cast<const uint32_t*>(&from) + i);
}

// Calls work.template operator()<Id>() for the codec: the kinds share no registers that way.
template <class Work>
__device__ __forceinline__ void for_kind(CodecId kind, Work&& work) {
  switch (kind) {
    case CodecId::kExponent16:
      return work.template operator()<CodecId::kExponent16>();
    case CodecId::kExponentHalf:
      return work.template operator()<CodecId::kExponentHalf>();
    case CodecId::kExponent32:
      return work.template operator()<CodecId::kExponent32>();
    default:
      return work.template operator()<CodecId::kRaw>();
  }
}

// What codec a job's analysis allows for a block: exponent codecs need a whole one.
__device__ __forceinline__ CodecId kind_for(const Plan& plan, uint32_t bytes) {
  return bytes == kBlockBytes ? static_cast<CodecId>(plan.kind) : CodecId::kRaw;
}

}  // namespace loretoken

#endif  // LORETOKEN_DEVICE_FACTS_CUH
