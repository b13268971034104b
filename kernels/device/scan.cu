// Finds words that are addresses inside given windows: what a buffer points at.
//
// One CTA looks at 64 KiB of a range: each thread reads 16 bytes and its neighbour's first word, so every 8-byte word
// at a 4-byte step is tested once. Hits are rare; each is entered in a hash table (tag: epoch), and the first of its
// kind is appended to the list in host memory.
#include "block.cuh"
#include "scan_params.h"

namespace loretoken {

constexpr uint32_t kProbes = 64;

__device__ __forceinline__ void record_hit(const ScanParams& params, uint32_t index, uint64_t address) {
  auto* header = reinterpret_cast<ScanTableHeader*>(params.table);
  auto* slots = reinterpret_cast<unsigned long long*>(header + 1);
  const uint64_t page = address >> 21;
  const unsigned long long key = static_cast<uint64_t>(params.epoch) << 48 | static_cast<uint64_t>(index) << 26 | page;
  uint64_t hash = (key & 0xFFFFFFFFFFFFull) * 0x9E3779B97F4A7C15ull;
  hash ^= hash >> 32;
  for (uint32_t probe = 0; probe < kProbes; ++probe) {
    unsigned long long* slot = slots + ((hash + probe) & (params.table_slots - 1));
    unsigned long long seen = *reinterpret_cast<volatile unsigned long long*>(slot);
    while (seen != key && seen >> 48 != params.epoch) {
      const unsigned long long before = atomicCAS(slot, seen, key);
      if (before == seen) {
        const uint32_t at = atomicAdd(&header->records, 1u);
        if (at < params.list_capacity)
          reinterpret_cast<ScanRecord*>(reinterpret_cast<ScanList*>(params.list) + 1)[at] = {
              index, static_cast<uint32_t>(page)};
        else
          header->overflow = 1;
        return;
      }
      seen = before;
    }
    if (seen == key) return;
  }
  header->overflow = 1;
}

// The exact test, for words whose upper half is near a window.
LT_NOINLINE __device__ void test_address(const ScanParams& params, uint32_t index, uint32_t low, uint32_t high) {
  const uint64_t address = static_cast<uint64_t>(high) << 32 | low;
  for (uint32_t w = 0; w < params.window_count; ++w)
    if (address >= params.windows[w].lo && address <= params.windows[w].hi) return record_hit(params, index, address);
}

// v[0 … 4]: five words in a row, four addresses. The upper halves decide almost always.
__device__ __forceinline__ void test_words(const ScanParams& params, uint32_t index, const uint32_t (&v)[5]) {
  bool near = false;
#pragma unroll
  for (int k = 0; k < 4; ++k) near |= v[k + 1] - params.high_first <= params.high_span;
  if (!near) return;
  for (int k = 0; k < 4; ++k) test_address(params, index, v[k], v[k + 1]);
}

constexpr uint32_t kPieces = kScanChunkWords / kScanThreads / 4;

}  // namespace loretoken

using namespace loretoken;

LT_KERNEL_BOUNDS(lt_scan, kScanThreads, 2, LT_PARAM(ScanParams) params) {
  uint32_t range = 0;
  for (uint32_t step = kScanRangesPerLaunch / 2; step; step /= 2)
    if (params.first_chunk[range + step] <= blockIdx.x) range += step;
  const uint64_t base = params.ranges[range].base, words = params.ranges[range].bytes / 4;
  const uint32_t index = params.ranges[range].index;
  const auto* data = reinterpret_cast<const uint32_t*>(base);
  const uint64_t chunk = static_cast<uint64_t>(blockIdx.x - params.first_chunk[range]) * kScanChunkWords;
  if (base % 16 == 0 && chunk + kScanChunkWords < words) {
    uint4 pieces[kPieces];
#pragma unroll
    for (uint32_t g = 0; g < kPieces; ++g) pieces[g] = load16(data + chunk + (g * kScanThreads + threadIdx.x) * 4);
#pragma unroll
    for (uint32_t g = 0; g < kPieces; ++g) {
#if defined(LORETOKEN_ON_HOST)
      const uint32_t following = data[chunk + (g * kScanThreads + threadIdx.x) * 4 + 4];  // cheaper than a switch
#else
      uint32_t following = __shfl_down_sync(~0u, pieces[g].x, 1);
      if (lane_id() == 31) following = __ldg(data + chunk + (g * kScanThreads + threadIdx.x) * 4 + 4);
#endif
      const uint32_t v[5] = {pieces[g].x, pieces[g].y, pieces[g].z, pieces[g].w, following};
      test_words(params, index, v);
    }
  } else {
    for (uint32_t g = 0; g < kPieces; ++g) {
      const uint64_t at = chunk + (g * kScanThreads + threadIdx.x) * 4;
      uint32_t v[5];
#pragma unroll
      for (int k = 0; k < 5; ++k) v[k] = at + k < words ? __ldg(data + at + k) : 0;
      test_words(params, index, v);
    }
  }

  __syncthreads();
  if (threadIdx.x != 0) return;
  auto* header = reinterpret_cast<ScanTableHeader*>(params.table);
  __threadfence_system();  // records before the count
  if (atomicAdd(&header->blocks_done, 1u) + 1 != gridDim.x) return;
  atomicExch(&header->blocks_done, 0u);
  if (!params.last_launch) return;
  __threadfence();
  ScanList* list = reinterpret_cast<ScanList*>(params.list);
  const uint32_t records = atomicExch(&header->records, 0u);
  list->count = min(records, params.list_capacity);
  list->overflow = atomicExch(&header->overflow, 0u);
  list->epoch = params.epoch;
  __threadfence_system();
  *reinterpret_cast<volatile uint32_t*>(&list->done) = 1;
}
