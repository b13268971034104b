// Blob → raw (lt_unpack), blob against raw (lt_verify), raw's checksums against the blob's (lt_unchanged).
//
// One CTA of 512 threads a block, three CTAs an SM. Header, directory entry and checksum are loaded at once because
// their places follow from the raw length alone.
#include "decode_exponent.cuh"

namespace loretoken {

// The header fields that decoding depends on, checked; the header's checksum is left to block 0.
__device__ __forceinline__ bool header_usable(const BlobHeader& h, const DeviceJob& job) {
  return h.magic == kBlobMagic && h.version == kBlobVersion && h.raw_bytes == job.raw_bytes &&
         h.blob_bytes <= job.blob_capacity && h.table_count <= 3;
}

template <class Sink>
__device__ __forceinline__ Decoded decode_block(const BlobHeader& header, const BlobEntry& entry, const uint8_t* blob,
                                                uint32_t bytes, DecodeShared& shared, Sink& sink) {
  const uint8_t* payload = blob + 16ull * entry.offset;
  const auto* tables = reinterpret_cast<const CodeTable*>(blob + tables_offset(header.block_count));
  switch (entry_codec(entry)) {
    case CodecId::kRaw:
      return {decode_raw(payload, bytes, sink), false};
    case CodecId::kConstant:
      return {decode_constant(entry, payload, bytes, sink), false};
    case CodecId::kZeroRun:
      return decode_zero_run(entry, payload, bytes, sink);
    case CodecId::kExponent16:
      return decode_exponent<CodecId::kExponent16>(entry, payload, tables + header.table_of[0], shared, sink);
    case CodecId::kExponentHalf:
      return decode_exponent<CodecId::kExponentHalf>(entry, payload, tables + header.table_of[1], shared, sink);
    case CodecId::kExponent32:
      return decode_exponent<CodecId::kExponent32>(entry, payload, tables + header.table_of[2], shared, sink);
    default:
      return {0, true};
  }
}

template <class Sink>
__device__ __forceinline__ void run_block(const Jobs& jobs) {
  __shared__ DecodeShared shared;
  const auto [index, block] = find_block(jobs);
  const DeviceJob& job = jobs.jobs[index];
  const auto* blob = reinterpret_cast<const uint8_t*>(job.blob);
  const uint32_t blocks = block_count_of(job.raw_bytes), bytes = block_length(job.raw_bytes, block);
  auto& scratch = *reinterpret_cast<Scratch*>(job.plan);

  const bool room = job.blob_capacity >= payloads_offset(blocks, 0);
  const BlobHeader& header = *reinterpret_cast<const BlobHeader*>(blob);
  BlobEntry entry = {};
  uint64_t expected = 0;
  if (room) {
    entry = reinterpret_cast<const BlobEntry*>(blob + sizeof(BlobHeader))[block];
    expected = __ldg(reinterpret_cast<const uint64_t*>(blob + checksums_offset(blocks)) + block);
  }
  const bool usable = room && header_usable(header, job) && header.block_count == blocks;
  Decoded decoded = {0, true};
  Sink sink{reinterpret_cast<uint8_t*>(job.raw) + static_cast<uint64_t>(block) * kBlockBytes, bytes};
  if (usable && entry_valid(entry, header, bytes)) decoded = decode_block(header, entry, blob, bytes, shared, sink);
  const int difference = warp_sum(sink.difference());
  const BlockVerdict verdict = block_verdict(decoded.sum, decoded.malformed || difference != 0);
  if (threadIdx.x != 0) return;

  if (verdict.any || verdict.sum != expected) count_bad_block(scratch, block);
  if (block == 0 && !(room && header_valid(header, job.raw_bytes, job.blob_capacity)))
    atomicAdd(&scratch.header_bad, 1u);
  if (!last_block_of(scratch, blocks)) return;
  Result result = take_counters(scratch);
  if (room) {
    result.blob_bytes = header.blob_bytes;
    result.element_type = header.element_type;
  }
  if (job.result) publish(reinterpret_cast<Result*>(job.result), result);
}

}  // namespace loretoken

using namespace loretoken;

LT_KERNEL_BOUNDS(lt_unpack, kBlockThreads, 3, LT_PARAM(Jobs) jobs) {
  run_block<StoreSink>(jobs);
}

LT_KERNEL_BOUNDS(lt_verify, kBlockThreads, 2, LT_PARAM(Jobs) jobs) {
  run_block<CompareSink>(jobs);
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
  if (block == 0 &&
      !(room && header_valid(*reinterpret_cast<const BlobHeader*>(blob), job.raw_bytes, job.blob_capacity)))
    atomicAdd(&scratch.header_bad, 1u);
  if (!room || reinterpret_cast<const uint64_t*>(blob + checksums_offset(blocks))[block] != verdict.sum)
    atomicAdd(&scratch.changed_blocks, 1u);
  if (!last_block_of(scratch, blocks)) return;
  Result result = take_counters(scratch);
  if (job.result) publish(reinterpret_cast<Result*>(job.result), result);
}
