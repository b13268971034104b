// Second step of the analysis: the smallest codec for each block with its exact size, then the layout of the blob.
//
//   lt_analyse   one CTA a block: reads every byte once, writes the block's BlobEntry without its offset
//   lt_layout    one CTA a job: prefix sum of the payload sizes, header, figures for the host
#include "exponent.cuh"

namespace loretoken {

constexpr uint32_t kLayoutThreads = 1024;

// What one pass over a block finds out.
struct BlockFacts {
  uint32_t nonzero_words, patches, stream_words;
  bool constant, low_halves_zero;
};

// Stream length of this thread in units and its number of patches.
template <CodecId Id>
__device__ __forceinline__ void measure_stream(const uint4 (&words)[8], const EncodeTable& table, uint32_t& units,
                                               uint32_t& patches) {
  uint32_t bits = 0;
#pragma unroll
  for (int pair = 0; pair < static_cast<int>(Exponent<Id>::kPairs); ++pair) {
    const uint32_t value = pair_of<Id>(words, pair);
    const uint32_t code = encode_pair<Id>(table, value);
    bits += code >> 16 & 31;
    if (code >> 31) patches += is_patched<Id>(table, value) + is_patched<Id>(table, value >> 16);
  }
  units = (bits + ExponentLayout::unit_bits(Id) - 1) / ExponentLayout::unit_bits(Id);
}

__device__ __forceinline__ BlobEntry choose_codec(const BlockFacts& facts, uint4 pattern, uint32_t bytes, CodecId kind,
                                                  CodecMask allowed) {
  uint32_t best = bytes, codec = static_cast<uint32_t>(CodecId::kRaw);
  uint64_t params = 0;
  auto consider = [&](CodecId id, uint32_t length, uint64_t with) {
    if ((allowed & codec_bit(id)) && length < best) best = length, codec = static_cast<uint32_t>(id), params = with;
  };
  if (facts.constant) {
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

}  // namespace loretoken

using namespace loretoken;

LT_KERNEL_BOUNDS(lt_analyse, kBlockThreads, 2, LT_PARAM(Jobs) jobs) {
  __shared__ EncodeTable table;
  __shared__ uint32_t tile_words[kTiles], tile_patches[kTiles], tile_nonzero[kTiles];
  const auto [index, block] = find_block(jobs);
  const DeviceJob& job = jobs.jobs[index];
  Plan& plan = *reinterpret_cast<Plan*>(job.plan);
  const auto* raw = reinterpret_cast<const uint8_t*>(job.raw) + static_cast<uint64_t>(block) * kBlockBytes;
  const uint32_t bytes = block_length(job.raw_bytes, block);
  const CodecId kind = bytes == kBlockBytes ? static_cast<CodecId>(plan.kind) : CodecId::kRaw;

  uint4 words[8];
  load_words(words, raw, bytes);
  const uint4 pattern = load_tail(raw, 0, bytes);
  if (kind != CodecId::kRaw)
    for (uint32_t i = threadIdx.x; i < sizeof(EncodeTable) / 4; i += kBlockThreads)
      reinterpret_cast<uint32_t*>(&table)[i] = reinterpret_cast<const uint32_t*>(&plan.encode)[i];

  uint32_t nonzero = 0, low_bits = 0;
  bool differs = false;
#pragma unroll
  for (int g = 0; g < 8; ++g) {
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const uint32_t word = component(words[g], k);
      const uint32_t expected = component(pattern, k);
      nonzero += word != 0;
      low_bits |= word & 0xFFFF;
      differs |= word != (bytes == kBlockBytes ? expected : clear_tail(expected, piece_offset(g) + 4 * k, bytes));
    }
  }
  const bool constant = !__syncthreads_or(differs);
  const bool low_zero = !__syncthreads_or(low_bits != 0);

  uint32_t units = 0, patches = 0;
  if (!constant) {
    if (kind == CodecId::kExponent16) measure_stream<CodecId::kExponent16>(words, table, units, patches);
    if (kind == CodecId::kExponentHalf) measure_stream<CodecId::kExponentHalf>(words, table, units, patches);
    if (kind == CodecId::kExponent32) measure_stream<CodecId::kExponent32>(words, table, units, patches);
  }
  units = warp_sum(units);
  patches = warp_sum(patches);
  nonzero = warp_sum(nonzero);
  if (lane_id() == 0) {
    tile_words[warp_id()] = (units * ExponentLayout::unit_bits(kind) + 31) / 32;
    tile_patches[warp_id()] = patches;
    tile_nonzero[warp_id()] = nonzero;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    BlockFacts facts = {0, 0, 0, constant, low_zero};
    for (uint32_t tile = 0; tile < kTiles; ++tile) {
      facts.stream_words += tile_words[tile];
      facts.patches += tile_patches[tile];
      facts.nonzero_words += tile_nonzero[tile];
    }
    reinterpret_cast<BlobEntry*>(&plan + 1)[block] = choose_codec(facts, pattern, bytes, kind, jobs.allowed);
  }
}

// grid: jobs.
LT_KERNEL_BOUNDS(lt_layout, kLayoutThreads, 1, LT_PARAM(Jobs) jobs) {
  __shared__ uint32_t warp_units[kLayoutThreads / 32];
  __shared__ unsigned long long in[kCodecCount], out[kCodecCount];
  const DeviceJob& job = jobs.jobs[blockIdx.x];
  Plan& plan = *reinterpret_cast<Plan*>(job.plan);
  auto* entries = reinterpret_cast<BlobEntry*>(&plan + 1);
  const uint32_t blocks = block_count_of(job.raw_bytes), t = threadIdx.x;
  if (t < kCodecCount) in[t] = out[t] = 0;
  __syncthreads();
  for (uint32_t block = t; block < blocks; block += kLayoutThreads) {
    const uint32_t codec = static_cast<uint32_t>(entry_codec(entries[block]));
    atomicAdd(&in[codec], block_length(job.raw_bytes, block));
    atomicAdd(&out[codec], entry_length(entries[block]));
  }
  __syncthreads();
  const auto kind = static_cast<CodecId>(plan.kind);
  const bool table_used = kind != CodecId::kRaw && in[static_cast<uint32_t>(kind)];

  uint32_t next = static_cast<uint32_t>(payloads_offset(blocks, table_used) / 16);  // in units of 16 bytes
  for (uint32_t first = 0; first < blocks; first += kLayoutThreads) {
    const uint32_t block = first + t;
    const uint32_t units = block < blocks ? (entry_length(entries[block]) + 15) / 16 : 0;
    const uint32_t before = warp_exclusive_sum(units);
    __syncthreads();
    if (lane_id() == 31) warp_units[warp_id()] = before + units;
    __syncthreads();
    uint32_t base = next;
    for (uint32_t w = 0; w < kLayoutThreads / 32; ++w) {
      if (w < warp_id()) base += warp_units[w];
      next += warp_units[w];
    }
    if (block < blocks) entries[block].offset = units ? base + before : 0;
  }
  if (t != 0) return;

  BlobHeader header = {};
  header.magic = kBlobMagic;
  header.version = kBlobVersion;
  header.element_type = kind == CodecId::kExponent16     ? ElementType::kBf16
                        : kind == CodecId::kExponentHalf ? ElementType::kFp16
                        : kind == CodecId::kExponent32   ? ElementType::kFp32
                                                         : ElementType::kUnknown;
  header.raw_bytes = job.raw_bytes;
  header.blob_bytes = 16ull * next;
  header.block_count = blocks;
  header.table_count = table_used;
  for (uint32_t i = 0; i < 4; ++i)
    header.table_of[i] = table_used && i + static_cast<uint32_t>(CodecId::kExponent16) == plan.kind ? 0 : 0xFF;
  Result result = {};
  for (uint32_t codec = 0; codec < kCodecCount; ++codec) {
    if (in[codec]) header.codec_set |= 1u << codec;
    plan.codec_in[codec] = result.codec_in[codec] = in[codec];
    plan.codec_out[codec] = result.codec_out[codec] = out[codec];
  }
  header.header_checksum = header_sum(header);
  plan.header = header;
  result.blob_bytes = header.blob_bytes;
  result.first_bad_block = ~0u;
  result.element_type = header.element_type;
  if (job.result) publish(reinterpret_cast<Result*>(job.result), result);
}
