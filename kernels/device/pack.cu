// Writes a blob from its plan: header, directory, checksums, code table and payloads. One CTA a block.
//
// Reads each raw byte once and writes each blob byte once. Exponent streams are assembled in shared memory; everything
// leaves as coalesced 16-byte stores except bitmaps' values and patches.
#include "exponent.cuh"

namespace loretoken {

constexpr uint32_t kSlotWords = 12;  // a thread's stream: 32 pairs of 11 bits are 11 words, one more is started
constexpr uint32_t kStreamWords = kTiles * kStreamWordsMax<CodecId::kExponent16>;

struct PackShared {
  EncodeTable table;
  uint32_t slots[kSlotWords][kBlockThreads];
  alignas(16) uint32_t stream[kStreamWords + 8];
  uint32_t patches[ExponentLayout::kMaxPatches];
  uint32_t tile_words[kTiles];
  uint32_t patch_count;
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

// Codes of this thread's pairs into its slots; returns the number of bits.
template <CodecId Id>
__device__ __forceinline__ uint32_t code_pairs(const uint4 (&words)[8], PackShared& shared) {
  uint32_t pending = 0, filled = 0, slot = 0;
#pragma unroll
  for (int pair = 0; pair < static_cast<int>(Exponent<Id>::kPairs); ++pair) {
    const uint32_t value = pair_of<Id>(words, pair);
    const uint32_t found = encode_pair<Id>(shared.table, value);
    const uint32_t code = found & 0xFFFF, length = found >> 16 & 31;
    pending |= code << filled;
    const uint32_t carried = __funnelshift_l(code, 0, filled);
    filled += length;
    if (filled >= 32) {
      shared.slots[slot++][threadIdx.x] = pending;
      pending = carried;
      filled -= 32;
    }
    if (found >> 31) {
#pragma unroll
      for (int half = 0; half < 2; ++half)
        if (is_patched<Id>(shared.table, value >> 16 * half)) {
          const uint32_t at = atomicAdd(&shared.patch_count, 1u);
          if (at < ExponentLayout::kMaxPatches)
            shared.patches[at] = value_index<Id>(pair, half) << 16 | (value >> 16 * half & 0xFFFF);
        }
    }
  }
  if (filled) shared.slots[slot][threadIdx.x] = pending;
  return slot * 32 + filled;
}

// Returns whether the block still has the size that was planned for it; nothing is written past the plan otherwise.
template <CodecId Id>
__device__ __forceinline__ bool pack_exponent(const uint4 (&words)[8], uint8_t* payload, uint64_t params,
                                              PackShared& shared) {
  constexpr uint32_t kUnit = ExponentLayout::unit_bits(Id);
  const uint32_t planned_words = ExponentLayout::stream_words(params);
  for (uint32_t i = threadIdx.x; i < planned_words + 4 && i < kStreamWords + 8; i += kBlockThreads)
    shared.stream[i] = 0;
  if (threadIdx.x == 0) shared.patch_count = 0;
  __syncthreads();
  const bool low_halves = !(params & ExponentLayout::kLowHalvesZero);
  write_planes<Id>(words, payload, low_halves);
  bool changed = false;
  if (Id == CodecId::kExponent32 && !low_halves) {
    uint32_t low = 0;
#pragma unroll
    for (int g = 0; g < 8; ++g) low |= words[g].x | words[g].y | words[g].z | words[g].w;
    changed = low & 0xFFFF;
  }
  const uint32_t bits = code_pairs<Id>(words, shared);
  const uint32_t units = (bits + kUnit - 1) / kUnit, before = warp_exclusive_sum(units);
  if (lane_id() == 31) shared.tile_words[warp_id()] = ((before + units) * kUnit + 31) / 32;
  __syncthreads();

  uint32_t first = 0, total = 0;
#pragma unroll
  for (uint32_t tile = 0; tile < kTiles; ++tile) {
    if (tile < warp_id()) first += shared.tile_words[tile];
    total += shared.tile_words[tile];
  }
  const uint32_t patches = ExponentLayout::patches(params);
  if (total != planned_words || shared.patch_count != patches || __syncthreads_or(changed)) return false;

  uint8_t* meta = payload + ExponentLayout::plane_bytes(Id, params);
  meta[threadIdx.x] = static_cast<uint8_t>(units);
  if (lane_id() == 31)
    reinterpret_cast<uint16_t*>(meta + ExponentLayout::kUnits)[warp_id()] =
        static_cast<uint16_t>(first + shared.tile_words[warp_id()]);

  // Neighbouring threads share the word where one stream ends and the next begins.
  const uint32_t position = first * 32 + before * kUnit, shift = position % 32;
  uint32_t* to = shared.stream + position / 32;
  uint32_t previous = 0;
  for (uint32_t i = 0; i * 32 < bits; ++i) {
    const uint32_t word = shared.slots[i][threadIdx.x];
    atomicOr(to++, __funnelshift_l(previous, word, shift));
    previous = word;
  }
  const uint32_t rest = __funnelshift_l(previous, 0, shift);
  if (rest) atomicOr(to, rest);
  __syncthreads();

  for (uint32_t i = threadIdx.x; i < (planned_words + 3) / 4; i += kBlockThreads)
    store16(meta + ExponentLayout::kMeta + 16 * i, reinterpret_cast<const uint4*>(shared.stream)[i]);
  for (uint32_t i = threadIdx.x; i < patches; i += kBlockThreads)
    reinterpret_cast<uint32_t*>(payload + ExponentLayout::patch_offset(Id, params))[i] = shared.patches[i];
  return true;
}

__device__ __forceinline__ bool pack_zero_run(const uint4 (&words)[8], uint8_t* payload, uint64_t params,
                                              PackShared& shared) {
  uint32_t mask = 0;
#pragma unroll
  for (int j = 0; j < 32; ++j) mask |= static_cast<uint32_t>(component(words[j / 4], j % 4) != 0) << j;
  const uint32_t count = __popc(mask), before = warp_exclusive_sum(count);
  if (lane_id() == 31) shared.tile_words[warp_id()] = before + count;
  __syncthreads();
  uint32_t first = 0, total = 0;
#pragma unroll
  for (uint32_t tile = 0; tile < kTiles; ++tile) {
    if (tile < warp_id()) first += shared.tile_words[tile];
    total += shared.tile_words[tile];
  }
  if (total != params) return false;
  reinterpret_cast<uint32_t*>(payload)[threadIdx.x] = mask;
  if (lane_id() == 0)
    reinterpret_cast<uint16_t*>(payload + ZeroRunLayout::kTileStart)[warp_id()] = static_cast<uint16_t>(first);
  auto* values = reinterpret_cast<uint32_t*>(payload + ZeroRunLayout::kValues) + first + before;
#pragma unroll
  for (int j = 0; j < 32; ++j)
    if (mask >> j & 1) *values++ = component(words[j / 4], j % 4);
  return true;
}

__device__ __forceinline__ bool pack_constant(const uint4 (&words)[8], uint8_t* payload, const BlobEntry& entry,
                                              uint4 pattern, uint32_t bytes) {
  bool differs = false;
#pragma unroll
  for (int j = 0; j < 32; ++j)
    differs |=
        component(words[j / 4], j % 4) != clear_tail(component(pattern, j % 4), piece_offset(j / 4) + j % 4 * 4, bytes);
  if (entry_length(entry) == 0)
    differs |= entry.params != (static_cast<uint64_t>(pattern.y) << 32 | pattern.x) ||
               (bytes > 8 && (pattern.x != pattern.z || pattern.y != pattern.w));
  else if (threadIdx.x == 0)
    store16(payload, pattern);
  return !__syncthreads_or(differs);
}

__device__ __forceinline__ void pack_raw(const uint4 (&words)[8], uint8_t* payload, uint32_t bytes) {
#pragma unroll
  for (int g = 0; g < 8; ++g) {
    if (bytes == kBlockBytes)
      store16(payload + piece_offset(g), words[g]);
    else
      store_tail(payload, piece_offset(g), bytes, words[g]);
  }
}

}  // namespace loretoken

using namespace loretoken;

// Dynamic shared memory: kPackSharedBytes.
LT_KERNEL_BOUNDS(lt_pack, kBlockThreads, 2, LT_PARAM(Jobs) jobs) {
  LT_DYNAMIC_SHARED(PackShared, shared);
  const auto [index, block] = find_block(jobs);
  const DeviceJob& job = jobs.jobs[index];
  Plan& plan = *reinterpret_cast<Plan*>(job.plan);
  auto* blob = reinterpret_cast<uint8_t*>(job.blob);
  const auto* raw = reinterpret_cast<const uint8_t*>(job.raw) + static_cast<uint64_t>(block) * kBlockBytes;
  const uint32_t bytes = block_length(job.raw_bytes, block), blocks = block_count_of(job.raw_bytes);

  uint4 words[8];
  load_words(words, raw, bytes);
  const BlobEntry entry = reinterpret_cast<const BlobEntry*>(&plan + 1)[block];
  const CodecId codec = entry_codec(entry);
  const bool fits = plan.header.blob_bytes <= job.blob_capacity && plan.header.raw_bytes == job.raw_bytes;
  bool same = true;
  if (fits) {
    uint8_t* payload = blob + 16ull * entry.offset;
    if (codec >= CodecId::kExponent16 && codec <= CodecId::kExponent32)
      for (uint32_t i = threadIdx.x; i < sizeof(EncodeTable) / 4; i += kBlockThreads)
        reinterpret_cast<uint32_t*>(&shared->table)[i] = reinterpret_cast<const uint32_t*>(&plan.encode)[i];
    switch (codec) {
      case CodecId::kConstant:
        same = pack_constant(words, payload, entry, load_tail(raw, 0, bytes), bytes);
        break;
      case CodecId::kZeroRun:
        same = pack_zero_run(words, payload, entry.params, *shared);
        break;
      case CodecId::kExponent16:
        same = pack_exponent<CodecId::kExponent16>(words, payload, entry.params, *shared);
        break;
      case CodecId::kExponentHalf:
        same = pack_exponent<CodecId::kExponentHalf>(words, payload, entry.params, *shared);
        break;
      case CodecId::kExponent32:
        same = pack_exponent<CodecId::kExponent32>(words, payload, entry.params, *shared);
        break;
      default:
        pack_raw(words, payload, bytes);
    }
    if (block == 0) {
      const uint32_t header_words = sizeof(BlobHeader) / 16,
                     table_words = plan.header.table_count * sizeof(CodeTable) / 16;
      for (uint32_t i = threadIdx.x; i < header_words; i += kBlockThreads)
        store16(blob + 16 * i, reinterpret_cast<const uint4*>(&plan.header)[i]);
      for (uint32_t i = threadIdx.x; i < table_words; i += kBlockThreads)
        store16(blob + tables_offset(blocks) + 16 * i, reinterpret_cast<const uint4*>(&plan.table)[i]);
    }
  }

  const BlockVerdict verdict = block_verdict(words_sum(words), false);
  if (threadIdx.x != 0) return;
  if (fits) {
    reinterpret_cast<BlobEntry*>(blob + sizeof(BlobHeader))[block] = entry;
    reinterpret_cast<uint64_t*>(blob + checksums_offset(blocks))[block] = verdict.sum;
  }
  if (!same) atomicAdd(&plan.scratch.source_changed, 1u);
  if (!last_block_of(plan.scratch, blocks)) return;
  Result result = take_counters(plan.scratch);
  if (!fits) result.status = Status::kTooSmall;
  result.blob_bytes = plan.header.blob_bytes;
  result.element_type = plan.header.element_type;
  for (uint32_t i = 0; i < kCodecCount; ++i) {
    result.codec_in[i] = plan.codec_in[i];
    result.codec_out[i] = plan.codec_out[i];
  }
  if (job.result) publish(reinterpret_cast<Result*>(job.result), result);
}
