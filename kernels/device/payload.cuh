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
  uint64_t sums[kTiles];  // of the block's checksum
  bool write;
};
static_assert(sizeof(PackShared) <= kPackSharedBytes);

// Stream words of the tiles before this thread's.
__device__ __forceinline__ uint32_t first_stream_word(const TileFacts& tiles) {
  uint32_t first = 0;
#pragma unroll
  for (uint32_t tile = 0; tile < kTiles; ++tile)
    if (tile < warp_id()) first += tiles.words[tile];
  return first;
}

// Puts this thread's coded bits into the block's stream in shared memory, which must be zero before. Neighbouring
// threads share the word where one stream ends and the next begins.
__device__ __forceinline__ void merge_stream(const ThreadStream& own, uint32_t unit_bits, PackShared& shared) {
  const uint32_t position = first_stream_word(shared.tiles) * 32 + own.before * unit_bits, shift = position % 32;
  uint32_t* to = shared.stream + position / 32;
  uint32_t previous = 0;
  for (uint32_t i = 0; i * 32 < own.bits; ++i) {
    const uint32_t word = shared.slots[i][threadIdx.x];
    atomicOr(to++, __funnelshift_l(previous, word, shift));
    previous = word;
  }
  const uint32_t rest = __funnelshift_l(previous, 0, shift);
  if (rest) atomicOr(to, rest);
}

// Stores planes, lengths, stream and patches.
template <CodecId Id>
__device__ __forceinline__ void write_exponent(const PlanePieces<Id>& planes, uint8_t* payload, uint64_t params,
                                               const ThreadStream& own, const PackShared& shared) {
  store_planes<Id>(planes, payload, !(params & ExponentLayout::kLowHalvesZero));
  uint8_t* meta = payload + ExponentLayout::plane_bytes(Id, params);
  meta[threadIdx.x] = static_cast<uint8_t>(own.units);
  if (lane_id() == 31)
    reinterpret_cast<uint16_t*>(meta + ExponentLayout::kUnits)[warp_id()] =
        static_cast<uint16_t>(first_stream_word(shared.tiles) + shared.tiles.words[warp_id()]);
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

// `entry` must be what choose_codec said of this block. Exponent codecs need nothing but planes and stream; the others
// read the raw bytes a second time, from L1 or L2, rather than keep them in registers while the stream is coded.
template <CodecId Id>
__device__ __forceinline__ void write_payload(const uint8_t* raw, uint32_t bytes, const BlobEntry& entry,
                                              uint8_t* payload, const PlanePieces<Id>& planes,
                                              const ThreadStream& stream, const PackShared& shared) {
  const CodecId codec = entry_codec(entry);
  if constexpr (Id != CodecId::kRaw)
    if (codec == Id) return write_exponent<Id>(planes, payload, entry.params, stream, shared);
  if (codec == CodecId::kConstant) {
    if (entry_length(entry) && threadIdx.x == 0) store16(payload, pattern_of(raw, bytes));
    return;
  }
  uint4 words[8];
  load_words(words, forget(raw), bytes);
  if (codec == CodecId::kZeroRun)
    write_zero_run(words, payload, shared.tiles);
  else
    write_raw(words, payload, bytes);
}

}  // namespace loretoken

#endif  // LORETOKEN_DEVICE_PAYLOAD_CUH
