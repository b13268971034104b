// Writes blobs: header, directory, checksums, code table and payloads. One CTA a block.
//
//   lt_pack          into the layout of a plan; the blob's size is known before
//   lt_pack_direct   in one pass: each block takes the next free place, so the raw bytes are read only once
//
// Each raw byte is read once and each blob byte written once. Exponent streams are assembled in shared memory;
// everything leaves as coalesced 16-byte stores except a zero-run's values and patches.
#include "payload.cuh"

namespace loretoken {

__device__ __forceinline__ void copy_pieces(uint8_t* to, const void* from, uint32_t bytes) {
  for (uint32_t i = threadIdx.x; i < bytes / 16; i += kBlockThreads)
    store16(to + 16 * i, static_cast<const uint4*>(from)[i]);
}

// Decides, by one thread, codec and place of the block and whether it may be written.
template <bool Direct>
__device__ __forceinline__ void place_block(const BlockFacts& facts, const uint8_t* raw, uint32_t bytes, CodecId kind,
                                            Plan& plan, const DeviceJob& job, uint32_t block, PackShared& shared) {
  BlobEntry entry = choose_codec(facts, raw, bytes, kind, plan.allowed);
  BlobEntry& planned = reinterpret_cast<BlobEntry*>(&plan + 1)[block];
  bool fits, same = true;
  if (Direct) {
    const uint32_t units = payload_units(entry);
    const auto first = static_cast<uint32_t>(payloads_offset(block_count_of(job.raw_bytes), plan.kind != 0) / 16);
    if (units) entry.offset = first + atomicAdd(&plan.scratch.cursor, units);
    fits = 16ull * max(entry.offset + units, first) <= job.blob_capacity;
    planned = entry;
  } else {
    fits = plan.header.blob_bytes <= job.blob_capacity && plan.header.raw_bytes == job.raw_bytes;
    same = planned.length_and_codec == entry.length_and_codec && planned.params == entry.params;
    entry.offset = planned.offset;
  }
  if (!fits) atomicOr(&plan.scratch.too_small, 1u);
  if (!same) atomicOr(&plan.scratch.source_changed, 1u);
  shared.write = fits && same;
  shared.entry = entry;
}

// Four barriers; the place is found (one atomic, or the plan) while the stream is merged.
template <bool Direct, CodecId Id>
__device__ __forceinline__ void pack_block(const DeviceJob& job, uint32_t block, bool forbidden, PackShared& shared) {
  Plan& plan = *reinterpret_cast<Plan*>(job.plan);
  // Forgotten so that nothing is hoisted above the choice of the kind, where it would live in every kind's registers.
  const auto* raw = forget(reinterpret_cast<const uint8_t*>(job.raw) + static_cast<uint64_t>(block) * kBlockBytes);
  const uint32_t bytes = Id == CodecId::kRaw ? block_length(job.raw_bytes, block) : kBlockBytes;
  const uint32_t blocks = block_count_of(job.raw_bytes);
  if (Id != CodecId::kRaw) {
    copy_table(shared.table, plan.encode);
    for (uint32_t i = threadIdx.x; i < (kStreamWords + 8) / 4; i += kBlockThreads)
      reinterpret_cast<uint4*>(shared.stream)[i] = make_uint4(0, 0, 0, 0);
    if (threadIdx.x == 0) shared.patch_count = 0;
  }
  ThreadStream stream = {};
  PlanePieces<Id> planes = {};
  const Kept<Id> kept = {{shared.slots, shared.patches, &shared.patch_count}, shared.sums, &planes};
  const BlockFacts facts = examine<true, Id>(raw, bytes, shared.table, forbidden, kept, shared.tiles, stream);
  if (threadIdx.x == 0) place_block<Direct>(facts, raw, bytes, Id, plan, job, block, shared);
  if (Id != CodecId::kRaw && !facts.constant) merge_stream(stream, ExponentLayout::unit_bits(Id), shared);
  __syncthreads();
  if (!shared.write) return;

  auto* blob = reinterpret_cast<uint8_t*>(job.blob);
  const BlobEntry entry = shared.entry;
  write_payload<Id>(raw, bytes, entry, blob + 16ull * entry.offset, planes, stream, shared);
  if (block == 0) {
    if (!Direct) copy_pieces(blob, &plan.header, sizeof(BlobHeader));
    if (Direct ? plan.kind != 0 : plan.header.table_count != 0)
      copy_pieces(blob + tables_offset(blocks), &plan.table, sizeof(CodeTable));
  }
  if (threadIdx.x != 0) return;
  uint64_t sum = 0;
  for (uint32_t tile = 0; tile < kTiles; ++tile) sum += shared.sums[tile];
  reinterpret_cast<BlobEntry*>(blob + sizeof(BlobHeader))[block] = entry;
  reinterpret_cast<uint64_t*>(blob + checksums_offset(blocks))[block] = sum;
}

template <bool Direct>
__device__ __forceinline__ void pack(const Jobs& jobs, PackShared& shared) {
  const auto place = find_block(jobs);
  const DeviceJob& job = jobs.jobs[place.job];
  const uint32_t block = place.block;
  const Plan& plan = *reinterpret_cast<const Plan*>(job.plan);
  const CodecId kind = kind_for(plan, block_length(job.raw_bytes, block));
  const bool forbidden = constant_forbidden(plan);
  for_kind(kind, [&]<CodecId Id>() { pack_block<Direct, Id>(job, block, forbidden, shared); });
}

}  // namespace loretoken

using namespace loretoken;

// Dynamic shared memory of both: kPackSharedBytes.
LT_KERNEL_BOUNDS(lt_pack, kBlockThreads, 2, LT_PARAM(Jobs) jobs) {
  LT_DYNAMIC_SHARED(PackShared, shared);
  pack<false>(jobs, *shared);
}

LT_KERNEL_BOUNDS(lt_pack_direct, kBlockThreads, 2, LT_PARAM(Jobs) jobs) {
  LT_DYNAMIC_SHARED(PackShared, shared);
  pack<true>(jobs, *shared);
}
