// What every block kernel needs: finding its job, 16-byte access with a ragged tail, checksum, final figures.
#ifndef LORETOKEN_DEVICE_BLOCK_CUH
#define LORETOKEN_DEVICE_BLOCK_CUH

#include "jobs.h"
#include "loretoken/kernel.h"

namespace loretoken {

__device__ __forceinline__ uint32_t lane_id() {
  return threadIdx.x % 32;
}
__device__ __forceinline__ uint32_t warp_id() {
  return threadIdx.x / 32;
}

// Cached read-only loads: measured faster than no-allocate hints for both directions.
__device__ __forceinline__ uint4 load16(const void* p) {
  return __ldg(static_cast<const uint4*>(p));
}
__device__ __forceinline__ void store16(void* p, uint4 v) {
  *static_cast<uint4*>(p) = v;
}

#if defined(LORETOKEN_ON_HOST)
// g++ leaves most loops over k rolled: a load is cheaper than three choices.
__device__ __forceinline__ uint32_t component(const uint4& v, int k) {
  return reinterpret_cast<const uint32_t*>(&v)[k];
}
#else
__device__ __forceinline__ uint32_t component(uint4 v, int k) {
  return k == 0 ? v.x : k == 1 ? v.y : k == 2 ? v.z : v.w;
}
#endif

// The same pointer, but what was read through it before is not known any more: the compiler must load again.
template <class T>
__device__ __forceinline__ const T* forget(const T* p) {
#if defined(__CUDA_ARCH__)
  asm volatile("" : "+l"(p));
#endif
  return p;
}

struct BlockOfJob {
  uint32_t job, block;
};
// Which job and which of its blocks this CTA works on: a binary search in parameter memory.
__device__ __forceinline__ BlockOfJob find_block(const Jobs& jobs) {
  if (jobs.count == 1) return {0, blockIdx.x};
  uint32_t job = 0;
#pragma unroll
  for (uint32_t step = kJobsPerLaunch / 2; step; step /= 2)
    if (jobs.first_block[job + step] <= blockIdx.x) job += step;
  return {job, blockIdx.x - jobs.first_block[job]};
}

// Byte offset of piece g (16 bytes: words 4g … 4g+3) of this thread inside the block.
__device__ __forceinline__ uint32_t piece_offset(int g) {
  return warp_id() * 4096 + g * 512 + lane_id() * 16;
}

// 16 bytes at p + offset; what lies at or past `bytes` reads as zero.
LT_NOINLINE __device__ uint4 load_tail(const uint8_t* p, uint32_t offset, uint32_t bytes) {
  if (offset + 16 <= bytes) return load16(p + offset);
  uint32_t words[4] = {0, 0, 0, 0};
  for (uint32_t i = 0; i < 16; ++i)
    if (offset + i < bytes) words[i / 4] |= static_cast<uint32_t>(p[offset + i]) << i % 4 * 8;
  return make_uint4(words[0], words[1], words[2], words[3]);
}
LT_NOINLINE __device__ void store_tail(uint8_t* p, uint32_t offset, uint32_t bytes, uint4 v) {
  if (offset + 16 <= bytes) return store16(p + offset, v);
  for (uint32_t i = 0; i < 16; ++i)
    if (offset + i < bytes) p[offset + i] = static_cast<uint8_t>(component(v, i / 4) >> i % 4 * 8);
}
// A word with the bytes past the end of the block cleared; `position` is the word's byte offset.
__device__ __forceinline__ uint32_t clear_tail(uint32_t word, uint32_t position, uint32_t bytes) {
  return position + 4 <= bytes ? word : position >= bytes ? 0 : word & ((1u << (bytes - position) * 8) - 1);
}

// This thread's 32 words.
__device__ __forceinline__ void load_words(uint4 (&words)[8], const uint8_t* p, uint32_t bytes) {
  if (bytes == kBlockBytes) {
#pragma unroll
    for (int g = 0; g < 8; ++g) words[g] = load16(p + piece_offset(g));
  } else {
#pragma unroll
    for (int g = 0; g < 8; ++g) words[g] = load_tail(p, piece_offset(g), bytes);
  }
}

#if defined(LORETOKEN_ON_HOST)
// On the CPU threads run in ascending order between two barriers or full collectives, and a collective costs a switch
// of every lane. So a sum that is read behind the next barrier needs no collective, the other sums one instead of five.
template <class T>
void add_in_order(T& total, T v, uint32_t index) {
  total = index == 0 ? v : total + v;
}
template <class T>
T warp_sum(T v) {
  return host::reduce(~0u, v, [](T a, T b) { return a + b; });
}
inline uint32_t warp_exclusive_sum(uint32_t v) {
  return host::exclusive_sum(~0u, v);
}
#else
template <class T>
__device__ __forceinline__ T warp_sum(T v) {
#pragma unroll
  for (int offset = 16; offset; offset /= 2) v += __shfl_xor_sync(~0u, v, offset);
  return v;
}
__device__ __forceinline__ uint32_t warp_exclusive_sum(uint32_t v) {
  uint32_t inclusive = v;
#pragma unroll
  for (int offset = 1; offset < 32; offset *= 2) {
    const uint32_t below = __shfl_up_sync(~0u, inclusive, offset);
    if (lane_id() >= static_cast<uint32_t>(offset)) inclusive += below;
  }
  return inclusive - v;
}
#endif

#if defined(LORETOKEN_ON_HOST)
// The same from a table: g++ leaves most loops over g rolled.
struct WordKeys {
  uint32_t key[kBlockBytes / kBlockThreads / 4];
};
constexpr WordKeys kWordKeys = [] {
  WordKeys keys = {};
  for (uint32_t j = 0; uint32_t & key : keys.key) key = word_key(j++);
  return keys;
}();
__device__ __forceinline__ uint64_t piece_sum(uint4 v, int g) {
  const uint32_t* key = &kWordKeys.key[4 * g];
  return static_cast<uint64_t>(v.x) * key[0] + static_cast<uint64_t>(v.y) * key[1] +
         static_cast<uint64_t>(v.z) * key[2] + static_cast<uint64_t>(v.w) * key[3];
}
#else
// Checksum of piece g before the thread's key is applied; the keys are immediates once the loop over g is unrolled.
__device__ __forceinline__ uint64_t piece_sum(uint4 v, int g) {
  return static_cast<uint64_t>(v.x) * word_key(4 * g) + static_cast<uint64_t>(v.y) * word_key(4 * g + 1) +
         static_cast<uint64_t>(v.z) * word_key(4 * g + 2) + static_cast<uint64_t>(v.w) * word_key(4 * g + 3);
}
#endif
__device__ __forceinline__ uint64_t words_sum(const uint4 (&words)[8]) {
  uint64_t sum = 0;
#pragma unroll
  for (int g = 0; g < 8; ++g) sum += piece_sum(words[g], g);
  return sum * thread_key(threadIdx.x);
}

struct BlockVerdict {
  uint64_t sum;  // valid in thread 0
  bool any;
};
// Sum and disjunction over the CTA's 512 threads, one barrier.
__device__ __forceinline__ BlockVerdict block_verdict(uint64_t sum, bool flag) {
#if defined(LORETOKEN_ON_HOST)
  static thread_local uint64_t total;
  add_in_order(total, sum, threadIdx.x);
  const bool any = __syncthreads_or(flag);
  return {total, any};
#else
  __shared__ uint64_t partial[kTiles];
  sum = warp_sum(sum);
  if (lane_id() == 0) partial[warp_id()] = sum;
  const bool any = __syncthreads_or(flag);
  sum = 0;
  if (threadIdx.x == 0)
    for (uint32_t i = 0; i < kTiles; ++i) sum += partial[i];
  return {sum, any};
#endif
}

__device__ __forceinline__ void count_bad_block(Scratch& scratch, uint32_t block) {
  atomicAdd(&scratch.bad_blocks, 1u);
  atomicMax(&scratch.first_bad_inverted, ~block);
}

// Publishes a result: everything but `done`, then `done`.
__device__ inline void publish(Result* to, Result result) {
  result.done = 0;
  *to = result;
  __threadfence_system();
  *reinterpret_cast<volatile uint32_t*>(&to->done) = 1;
}

// Called by thread 0 of every CTA of a job, once its counters are up to date: whether it is the last one. `counted`: it
// changed a counter. The fence waits for the thread's own stores, so a CTA with nothing to say does without.
__device__ __forceinline__ bool last_block_of(Scratch& scratch, uint32_t blocks, bool counted) {
  if (counted) __threadfence();
  if (atomicAdd(&scratch.blocks_done, 1u) + 1 != blocks) return false;
  __threadfence();
  return true;
}

// Reads the counters into a result and leaves them zero for the next call.
__device__ inline Result take_counters(Scratch& scratch) {
  Result result = {};
  result.bad_blocks = atomicExch(&scratch.bad_blocks, 0u);
  result.first_bad_block = ~atomicExch(&scratch.first_bad_inverted, 0u);
  result.changed_blocks = atomicExch(&scratch.changed_blocks, 0u);
  const bool header_bad = atomicExch(&scratch.header_bad, 0u), changed = atomicExch(&scratch.source_changed, 0u);
  const bool too_small = atomicExch(&scratch.too_small, 0u);
  atomicExch(&scratch.blocks_done, 0u);
  result.status = too_small           ? Status::kTooSmall
                  : header_bad        ? Status::kBadBlob
                  : changed           ? Status::kSourceChanged
                  : result.bad_blocks ? Status::kBadBlock
                                      : Status::kOk;
  return result;
}

}  // namespace loretoken

#endif  // LORETOKEN_DEVICE_BLOCK_CUH
