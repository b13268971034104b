// Kernels of the bench itself: an empty launch, tiling of a tensor, a comparison that counts differing words.
#include "loretoken/kernel.h"

LT_KERNEL_PLAIN(bench_empty) {}

LT_KERNEL_PLAIN(bench_tile, const uint4* tensor, uint64_t tensor_pieces, uint4* out, uint64_t pieces) {
  for (uint64_t i = blockIdx.x * uint64_t{blockDim.x} + threadIdx.x; i < pieces; i += uint64_t{gridDim.x} * blockDim.x)
    out[i] = tensor[i % tensor_pieces];
}

LT_KERNEL_PLAIN(bench_compare, const uint4* a, const uint4* b, uint64_t pieces, unsigned long long* differing) {
  unsigned long long count = 0;
  for (uint64_t i = blockIdx.x * uint64_t{blockDim.x} + threadIdx.x; i < pieces;
       i += uint64_t{gridDim.x} * blockDim.x) {
    const uint4 x = a[i], y = b[i];
    count += (x.x != y.x) + (x.y != y.y) + (x.z != y.z) + (x.w != y.w);
  }
  if (count) atomicAdd(differing, count);
}
