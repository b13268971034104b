// Writes blobs: header, directory, checksums, code table and payloads. One CTA a block.
//
//   lt_pack          into the layout of a plan; the blob's size is known before
//   lt_pack_direct   in one pass: each block takes the next free place, so the raw bytes are read only once
//
// Each raw byte is read once and each blob byte written once. Exponent streams are assembled in shared memory;
// everything leaves as coalesced 16-byte stores except a zero-run's values and patches.
#include "header.cuh"
#include "payload.cuh"

namespace loretoken {

// Figures that both kernels leave with the plan.
__device__ inline void copy_figures(Result& result, const Plan& plan) {
  result.blob_bytes = plan.header.blob_bytes;
  result.element_type = plan.header.element_type;
  for (uint32_t i = 0; i < kCodecCount; ++i) {
    result.codec_in[i] = plan.codec_in[i];
    result.codec_out[i] = plan.codec_out[i];
  }
}

__device__ __forceinline__ void copy_pieces(uint8_t* to, const void* from, uint32_t bytes) {
  for (uint32_t i = threadIdx.x; i < bytes / 16; i += kBlockThreads)
    store16(to + 16 * i, static_cast<const uint4*>(from)[i]);
}

// The end of a one-pass pack, by the last CTA's thread 0: the header from the counters.
__device__ inline void finish_header(Plan& plan, const DeviceJob& job, uint64_t blob_bytes, CodecId kind, bool write) {
  BlobHeader header = make_header(job.raw_bytes, blob_bytes, kind, kind != CodecId::kRaw);
  for (uint32_t i = 0; i < kCodecCount; ++i)
    if (plan.codec_in[i]) header.codec_set |= 1u << i;
  header.header_checksum = header_sum(header);
  plan.header = header;
  if (write) *reinterpret_cast<BlobHeader*>(job.blob) = header;
}

template <bool Direct>
__device__ __forceinline__ void pack_block(const Jobs& jobs, PackShared& shared) {
  const auto [index, block] = find_block(jobs);
  const DeviceJob& job = jobs.jobs[index];
  Plan& plan = *reinterpret_cast<Plan*>(job.plan);
  auto* blob = reinterpret_cast<uint8_t*>(job.blob);
  const auto* raw = reinterpret_cast<const uint8_t*>(job.raw) + static_cast<uint64_t>(block) * kBlockBytes;
  const uint32_t bytes = block_length(job.raw_bytes, block), blocks = block_count_of(job.raw_bytes);

  const auto table_kind = static_cast<CodecId>(plan.kind);
  const CodecId kind = kind_for(plan, bytes);
  if (kind != CodecId::kRaw) {
    copy_table(shared.table, plan.encode);
    for (uint32_t i = threadIdx.x; i < (kStreamWords + 8) / 4; i += kBlockThreads)
      reinterpret_cast<uint4*>(shared.stream)[i] = make_uint4(0, 0, 0, 0);
    if (threadIdx.x == 0) shared.patch_count = 0;
  }
  ThreadStream stream = {};
  uint64_t sum;
  const BlockFacts facts = examine<true>(
      raw, bytes, kind, shared.table, {shared.slots, shared.patches, &shared.patch_count}, shared.tiles, stream, sum);
  if (threadIdx.x == 0) {
    BlobEntry entry = choose_codec(facts, raw, bytes, kind, plan.allowed);
    const uint32_t units = payload_units(entry);
    const auto first = static_cast<uint32_t>(payloads_offset(blocks, table_kind != CodecId::kRaw) / 16);
    if (Direct) {
      if (units) entry.offset = first + atomicAdd(&plan.scratch.cursor, units);
      shared.fits = 16ull * max(entry.offset + units, first) <= job.blob_capacity;
      shared.same = true;
    } else {
      const BlobEntry planned = reinterpret_cast<const BlobEntry*>(&plan + 1)[block];
      shared.fits = plan.header.blob_bytes <= job.blob_capacity && plan.header.raw_bytes == job.raw_bytes;
      shared.same = planned.length_and_codec == entry.length_and_codec && planned.params == entry.params;
      entry.offset = planned.offset;
    }
    shared.entry = entry;
  }
  __syncthreads();
  if (shared.fits && shared.same) {
    write_payload(raw, bytes, shared.entry, blob + 16ull * shared.entry.offset, stream, shared);
    if (block == 0) {
      if (!Direct) copy_pieces(blob, &plan.header, sizeof(BlobHeader));
      if (Direct ? table_kind != CodecId::kRaw : plan.header.table_count != 0)
        copy_pieces(blob + tables_offset(blocks), &plan.table, sizeof(CodeTable));
    }
  }

  const BlockVerdict verdict = block_verdict(sum, false);
  if (threadIdx.x != 0) return;
  const BlobEntry entry = shared.entry;
  if (shared.fits) {
    reinterpret_cast<BlobEntry*>(blob + sizeof(BlobHeader))[block] = entry;
    reinterpret_cast<uint64_t*>(blob + checksums_offset(blocks))[block] = verdict.sum;
  } else {
    atomicOr(&plan.scratch.too_small, 1u);
  }
  if (!shared.same) atomicOr(&plan.scratch.source_changed, 1u);
  if (Direct) {
    const uint32_t codec = static_cast<uint32_t>(entry_codec(entry));
    atomicAdd(&plan.codec_in[codec], static_cast<unsigned long long>(bytes));
    atomicAdd(&plan.codec_out[codec], static_cast<unsigned long long>(entry_length(entry)));
  }
  if (!last_block_of(plan.scratch, blocks, Direct || !shared.fits || !shared.same)) return;
  const uint32_t cursor = atomicExch(&plan.scratch.cursor, 0u);
  Result result = take_counters(plan.scratch);
  if (Direct)
    finish_header(plan, job, payloads_offset(blocks, table_kind != CodecId::kRaw) + 16ull * cursor, table_kind,
                  result.status == Status::kOk);
  copy_figures(result, plan);
  if (job.result) publish(reinterpret_cast<Result*>(job.result), result);
}

}  // namespace loretoken

using namespace loretoken;

// Dynamic shared memory of both: kPackSharedBytes.
LT_KERNEL_BOUNDS(lt_pack, kBlockThreads, 2, LT_PARAM(Jobs) jobs) {
  LT_DYNAMIC_SHARED(PackShared, shared);
  pack_block<false>(jobs, *shared);
}

LT_KERNEL_BOUNDS(lt_pack_direct, kBlockThreads, 2, LT_PARAM(Jobs) jobs) {
  LT_DYNAMIC_SHARED(PackShared, shared);
  pack_block<true>(jobs, *shared);
}
