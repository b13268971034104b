// Second step of the analysis: the smallest codec for each block with its exact size, then the layout of the blob.
//
//   lt_analyse   one CTA a block: reads every byte once, writes the block's BlobEntry without its offset
//   lt_layout    one CTA a job: prefix sum of the payload sizes, header, figures for the host
//   lt_finish    one CTA a job, behind a pack: verdict and figures for the host; after a one-pass pack the header too
#include "facts.cuh"
#include "header.cuh"

namespace loretoken {

constexpr uint32_t kLayoutThreads = 1024;

// Adds up raw and payload bytes of each codec; `in` and `out` lie in shared memory and are zero before.
__device__ __forceinline__ void count_codecs(const BlobEntry* entries, uint64_t raw_bytes, unsigned long long* in,
                                             unsigned long long* out) {
  const uint32_t blocks = block_count_of(raw_bytes), t = threadIdx.x;
  for (uint32_t first = 0; first < blocks; first += kLayoutThreads) {
    const uint32_t block = first + t;
    const BlobEntry entry = block < blocks ? entries[block] : BlobEntry{0, kCodecCount << 24, 0};
    const uint32_t codec = static_cast<uint32_t>(entry_codec(entry));
    const uint32_t alike = __match_any_sync(~0u, codec);
    const uint32_t plain = __reduce_add_sync(alike, block < blocks ? block_length(raw_bytes, block) : 0);
    const uint32_t packed = __reduce_add_sync(alike, entry_length(entry));
    if (codec < kCodecCount && lane_id() + 1 == static_cast<uint32_t>(__ffs(static_cast<int>(alike)))) {
      atomicAdd(&in[codec], static_cast<unsigned long long>(plain));
      atomicAdd(&out[codec], static_cast<unsigned long long>(packed));
    }
  }
}

}  // namespace loretoken

using namespace loretoken;

LT_KERNEL_BOUNDS(lt_analyse, kBlockThreads, 2, LT_PARAM(Jobs) jobs) {
  __shared__ EncodeTable table;
  [[maybe_unused]] __shared__ TileFacts tiles;
  const auto place = find_block(jobs);
  const uint32_t block = place.block;
  const DeviceJob& job = jobs.jobs[place.job];
  Plan& plan = *reinterpret_cast<Plan*>(job.plan);
  const auto* raw = reinterpret_cast<const uint8_t*>(job.raw) + static_cast<uint64_t>(block) * kBlockBytes;
  const uint32_t bytes = block_length(job.raw_bytes, block);

  const CodecId kind = kind_for(plan, bytes);
  if (kind != CodecId::kRaw) copy_table(table, plan.encode);
  for_kind(kind, [&]<CodecId Id>() {
    ThreadStream stream = {};
    const BlockFacts facts = examine<false, Id>(raw, bytes, table, {}, tiles, stream);
    if (threadIdx.x == 0)
      reinterpret_cast<BlobEntry*>(&plan + 1)[block] = choose_codec(facts, raw, bytes, kind, plan.allowed);
  });
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
  count_codecs(entries, job.raw_bytes, in, out);
  __syncthreads();
  const auto kind = static_cast<CodecId>(plan.kind);
  const bool table_used = kind != CodecId::kRaw && in[static_cast<uint32_t>(kind)];

  uint32_t next = static_cast<uint32_t>(payloads_offset(blocks, table_used) / 16);
  for (uint32_t first = 0; first < blocks; first += kLayoutThreads) {
    const uint32_t block = first + t;
    const uint32_t units = block < blocks ? payload_units(entries[block]) : 0;
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

  BlobHeader header = make_header(job.raw_bytes, 16ull * next, kind, table_used);
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

// The end of both packs, grid: jobs. `direct`: the header is still to be made, from the entries and the cursor.
LT_KERNEL_BOUNDS(lt_finish, kLayoutThreads, 1, LT_PARAM(Jobs) jobs, uint32_t direct) {
  __shared__ unsigned long long in[kCodecCount], out[kCodecCount];
  const DeviceJob& job = jobs.jobs[blockIdx.x];
  Plan& plan = *reinterpret_cast<Plan*>(job.plan);
  const uint32_t blocks = block_count_of(job.raw_bytes), t = threadIdx.x;
  if (t < kCodecCount) in[t] = out[t] = 0;
  __syncthreads();
  if (direct) count_codecs(reinterpret_cast<const BlobEntry*>(&plan + 1), job.raw_bytes, in, out);
  __syncthreads();
  if (t != 0) return;

  const uint32_t cursor = atomicExch(&plan.scratch.cursor, 0u);
  Result result = take_counters(plan.scratch);
  if (direct) {
    const auto kind = static_cast<CodecId>(plan.kind);
    const bool table = kind != CodecId::kRaw;
    BlobHeader header = make_header(job.raw_bytes, payloads_offset(blocks, table) + 16ull * cursor, kind, table);
    for (uint32_t codec = 0; codec < kCodecCount; ++codec) {
      if (in[codec]) header.codec_set |= 1u << codec;
      plan.codec_in[codec] = in[codec];
      plan.codec_out[codec] = out[codec];
    }
    header.header_checksum = header_sum(header);
    plan.header = header;
    if (result.status == Status::kOk) *reinterpret_cast<BlobHeader*>(job.blob) = header;
  }
  result.blob_bytes = plan.header.blob_bytes;
  result.element_type = plan.header.element_type;
  for (uint32_t codec = 0; codec < kCodecCount; ++codec) {
    result.codec_in[codec] = plan.codec_in[codec];
    result.codec_out[codec] = plan.codec_out[codec];
  }
  if (job.result) publish(reinterpret_cast<Result*>(job.result), result);
}
