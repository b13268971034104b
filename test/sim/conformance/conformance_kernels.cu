// Kernels of the conformance program; by nvcc for a GPU, as a host object for the simulator.
#include <loretoken/kernel.h>

struct ConformPair {
  uint64_t first;
  uint8_t second;
};

LT_GLOBAL(uint32_t, conform_global);

LT_KERNEL_PLAIN(conform_fill, uint32_t* out, uint32_t count, uint32_t value) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) out[i] = value + i;
}

LT_KERNEL_PLAIN(conform_add, uint32_t* out, const uint32_t* in, uint32_t count) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) out[i] += in[i];
}

// Every kind of parameter layout: odd sizes, alignment gaps, a structure in the middle.
LT_KERNEL_PLAIN(conform_params, uint8_t a, double b, uint16_t c, ConformPair pair, float d, uint64_t* out) {
  if (blockIdx.x == 0 && threadIdx.x == 0) {
    out[0] = a + static_cast<uint64_t>(b) + c + pair.first + pair.second + static_cast<uint64_t>(d);
    conform_global = conform_global + 1;
  }
}

LT_KERNEL_PLAIN(conform_none) {}

// Follows a pointer that is stored in memory.
LT_KERNEL_PLAIN(conform_follow, uint32_t** where, uint32_t value) {
  if (blockIdx.x == 0 && threadIdx.x == 0) **where = value;
}
