// Small kernels that the tests of the CUDA-on-CPU layer launch.
#include "loretoken/kernel.h"

LT_GLOBAL(uint32_t, test_hits);

LT_KERNEL_PLAIN(test_scale, float* data, float factor, uint32_t count) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) data[i] *= factor;
  if (i < count) atomicAdd(&test_hits, 1u);
}

// Sum of a block by warp shuffles and shared memory; odd block sizes leave a partial last warp.
LT_KERNEL(test_block_sum, uint8_t pad, const uint32_t* in, uint64_t* out) {
  __shared__ uint32_t partial[32];
  const uint32_t warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = (blockDim.x + 31) / 32;
  const uint32_t live = warp + 1 < warps || blockDim.x % 32 == 0 ? ~0u : (1u << blockDim.x % 32) - 1;
  uint32_t sum = __reduce_add_sync(live, in[blockIdx.x * blockDim.x + threadIdx.x] + pad);
  if (lane == 0) partial[warp] = sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    uint64_t total = 0;
    for (uint32_t i = 0; i < warps; ++i) total += partial[i];
    out[blockIdx.x] = total;
  }
}

// Inclusive scan of a warp by shuffles with divergent early exits of the other warps.
LT_KERNEL(test_warp_scan, uint32_t* data) {
  if (threadIdx.x >= 32) return;
  uint32_t value = data[threadIdx.x];
  for (int offset = 1; offset < 32; offset *= 2) {
    const uint32_t below = __shfl_up_sync(~0u, value, offset);
    if (threadIdx.x >= static_cast<uint32_t>(offset)) value += below;
  }
  data[threadIdx.x] = value;
}

// Two halves of a warp run different collectives, then meet.
LT_KERNEL(test_divergent, uint32_t* out) {
  const uint32_t lane = threadIdx.x;
  uint32_t value;
  if (lane < 16) {
    value = __shfl_xor_sync(0x0000FFFFu, lane, 1);
    value += __ballot_sync(0x0000FFFFu, lane & 1);
  } else {
    value = __popc(__match_any_sync(0xFFFF0000u, lane / 4));
  }
  __syncwarp();
  out[lane] = value + __shfl_sync(~0u, lane, 31);
}

LT_KERNEL(test_dynamic_shared, uint32_t* out) {
  LT_DYNAMIC_SHARED(uint32_t, words);
  words[threadIdx.x] = threadIdx.x * threadIdx.x;
  __syncthreads();
  out[threadIdx.x] = words[blockDim.x - 1 - threadIdx.x];
}
