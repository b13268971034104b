// Blob → raw (lt_unpack), blob against raw (lt_verify), raw's checksums against the blob's (lt_unchanged).
//
// One CTA of 512 threads a block, three CTAs an SM. The places of directory entry and checksum follow from the raw
// length alone, so nothing waits for the header.
#include <cstddef>
#include <type_traits>

#include "decode_exponent.cuh"

namespace loretoken {

// What keeps every read of a block inside the blob's memory, and nothing more: it stands before the loads in every
// thread. The full judgement of header and entry is left to thread 0, off the critical path.
__device__ __forceinline__ bool readable(const BlobEntry& entry, uint32_t blocks, uint32_t bytes, uint32_t table,
                                         uint64_t capacity) {
  const uint32_t length = entry_length(entry);
  const CodecId id = entry_codec(entry);
  if (16ull * entry.offset + length > capacity) return false;
  switch (id) {
    case CodecId::kRaw:
      return length == bytes;
    case CodecId::kConstant:
      return length == 0 || length == 16;
    case CodecId::kZeroRun:
      return length == ZeroRunLayout::kValues + 4 * static_cast<uint32_t>(entry.params);
    case CodecId::kExponent16:
    case CodecId::kExponentHalf:
    case CodecId::kExponent32:
      return length == ExponentLayout::length(id, entry.params) && bytes == kBlockBytes &&
             tables_offset(blocks) + (table + 1) * sizeof(CodeTable) <= capacity;
    default:
      return false;
  }
}

template <class Sink>
__device__ __forceinline__ Decoded decode_block(const BlobEntry& entry, const uint8_t* payload, const CodeTable* table,
                                                uint32_t bytes, DecodeShared& shared, Sink& sink) {
  switch (entry_codec(entry)) {
    case CodecId::kRaw:
      return {decode_raw(payload, bytes, sink), false};
    case CodecId::kConstant:
      return {decode_constant(entry, payload, bytes, sink), false};
    case CodecId::kZeroRun:
      return decode_zero_run(entry, payload, bytes, sink);
    case CodecId::kExponent16:
      return decode_exponent<CodecId::kExponent16>(entry, payload, table, shared, sink);
    case CodecId::kExponentHalf:
      return decode_exponent<CodecId::kExponentHalf>(entry, payload, table, shared, sink);
    case CodecId::kExponent32:
      return decode_exponent<CodecId::kExponent32>(entry, payload, table, shared, sink);
    default:
      return {0, true};
  }
}

template <class Sink>
__device__ __forceinline__ Sink make_sink(uint8_t* raw, uint32_t bytes, uint4* ahead) {
  if constexpr (std::is_same_v<Sink, CompareSink>) {
    if (bytes == kBlockBytes) {
#pragma unroll
      for (int g = 0; g < 8; ++g) copy16_async(ahead + g * kBlockThreads + threadIdx.x, raw + piece_offset(g));
    }
    return {raw, bytes, ahead};
  } else {
    return {raw, bytes};
  }
}

// Whether this thread's warp saw a difference; patches and what they repair may belong to different lanes.
__device__ __forceinline__ bool differs(const StoreSink&) {
  return false;
}
__device__ __forceinline__ bool differs(const CompareSink& sink) {
  return __reduce_add_sync(~0u, sink.differing) != 0;
}

template <class Sink>
__device__ __forceinline__ void run_block(const Jobs& jobs, DecodeShared& shared, uint4* ahead) {
  const auto [index, block] = find_block(jobs);
  const DeviceJob& job = jobs.jobs[index];
  const auto* blob = reinterpret_cast<const uint8_t*>(job.blob);
  auto* raw = reinterpret_cast<uint8_t*>(job.raw) + static_cast<uint64_t>(block) * kBlockBytes;
  const uint32_t blocks = block_count_of(job.raw_bytes), bytes = block_length(job.raw_bytes, block);

  const bool room = job.blob_capacity >= payloads_offset(blocks, 0);
  BlobEntry entry = {};
  uint32_t table_of = 0;
  if (room) {
    const uint4 words = load16(blob + sizeof(BlobHeader) + 16ull * block);
    entry = {words.x, words.y, static_cast<uint64_t>(words.w) << 32 | words.z};
    table_of = __ldg(reinterpret_cast<const uint32_t*>(blob + offsetof(BlobHeader, table_of)));
    if (threadIdx.x < sizeof(BlobHeader) / 16)
      copy16_async(reinterpret_cast<uint4*>(&shared.header) + threadIdx.x, blob + 16 * threadIdx.x);
    if (threadIdx.x == 0) copy8_async(&shared.expected_sum, blob + checksums_offset(blocks) + 8ull * block);
  }
  Sink sink = make_sink<Sink>(raw, bytes, ahead);
  const uint32_t kind = static_cast<uint32_t>(entry_codec(entry)) - static_cast<uint32_t>(CodecId::kExponent16);
  const uint32_t table = kind < 3 ? table_of >> 8 * kind & 0xFF : 0;
  Decoded decoded = {0, true};
  if (room && readable(entry, blocks, bytes, table, job.blob_capacity))
    decoded =
        decode_block(entry, blob + 16ull * entry.offset,
                     reinterpret_cast<const CodeTable*>(blob + tables_offset(blocks)) + table, bytes, shared, sink);
  wait_copies();
  const BlockVerdict verdict = block_verdict(decoded.sum, decoded.malformed || differs(sink));
  if (threadIdx.x != 0) return;

  auto& scratch = *reinterpret_cast<Scratch*>(job.plan);
  const BlobHeader& header = shared.header;
  const bool bad = !room || verdict.any || !entry_valid(entry, header, bytes) || verdict.sum != shared.expected_sum;
  if (bad) count_bad_block(scratch, block);
  const bool header_bad = block == 0 && !(room && header_valid(header, job.raw_bytes, job.blob_capacity));
  if (header_bad) atomicAdd(&scratch.header_bad, 1u);
  if (!last_block_of(scratch, blocks, bad || header_bad)) return;
  Result result = take_counters(scratch);
  if (room) {
    result.blob_bytes = header.blob_bytes;
    result.element_type = header.element_type;
  }
  if (job.result) publish(reinterpret_cast<Result*>(job.result), result);
}

// Verifying: the raw block on its way to shared memory beside the decoder's own part.
struct VerifyShared {
  DecodeShared decode;
  uint4 ahead[8 * kBlockThreads];
};
static_assert(sizeof(VerifyShared) <= kVerifySharedBytes);

}  // namespace loretoken

using namespace loretoken;

LT_KERNEL_BOUNDS(lt_unpack, kBlockThreads, 3, LT_PARAM(Jobs) jobs) {
  __shared__ DecodeShared shared;
  run_block<StoreSink>(jobs, shared, nullptr);
}

// Dynamic shared memory: kVerifySharedBytes.
LT_KERNEL_BOUNDS(lt_verify, kBlockThreads, 2, LT_PARAM(Jobs) jobs) {
  LT_DYNAMIC_SHARED(VerifyShared, shared);
  run_block<CompareSink>(jobs, shared->decode, shared->ahead);
}

LT_KERNEL_BOUNDS(lt_unchanged, kBlockThreads, 3, LT_PARAM(Jobs) jobs) {
  const auto [index, block] = find_block(jobs);
  const DeviceJob& job = jobs.jobs[index];
  const uint32_t blocks = block_count_of(job.raw_bytes);
  const auto* blob = reinterpret_cast<const uint8_t*>(job.blob);
  uint4 words[8];
  load_words(words, reinterpret_cast<const uint8_t*>(job.raw) + static_cast<uint64_t>(block) * kBlockBytes,
             block_length(job.raw_bytes, block));
  const BlockVerdict verdict = block_verdict(words_sum(words), false);
  if (threadIdx.x != 0) return;

  auto& scratch = *reinterpret_cast<Scratch*>(job.plan);
  const bool room = job.blob_capacity >= payloads_offset(blocks, 0);
  const bool header_bad = block == 0 && !(room && header_valid(*reinterpret_cast<const BlobHeader*>(blob),
                                                               job.raw_bytes, job.blob_capacity));
  const bool changed =
      !room || reinterpret_cast<const uint64_t*>(blob + checksums_offset(blocks))[block] != verdict.sum;
  if (header_bad) atomicAdd(&scratch.header_bad, 1u);
  if (changed) atomicAdd(&scratch.changed_blocks, 1u);
  if (!last_block_of(scratch, blocks, header_bad || changed)) return;
  Result result = take_counters(scratch);
  if (job.result) publish(reinterpret_cast<Result*>(job.result), result);
}
