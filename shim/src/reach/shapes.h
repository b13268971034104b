// Rectangles and boxes of the driver's copy descriptors as CopySpecs.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <vector>

#include "reach/core.h"

namespace loretoken {

// First byte of a side, or 0 when it is an array.
inline uint64_t linear_start(CUmemorytype type, const void* host, CUdeviceptr device, uint64_t x,
                             uint64_t rows_before) {
  if (type == CU_MEMORYTYPE_ARRAY) return 0;
  return (type == CU_MEMORYTYPE_HOST ? reinterpret_cast<uint64_t>(host) : device) + x + rows_before;
}

inline uint64_t pitch_or(uint64_t pitch, uint64_t width) {
  return pitch != 0 ? pitch : width;
}

// One spec per slice; CUDA_MEMCPY3D and CUDA_MEMCPY3D_PEER.
template <class Box>
std::vector<CopySpec> slices_of(const Box& c) {
  std::vector<CopySpec> slices;
  const uint64_t dst_pitch = pitch_or(c.dstPitch, c.WidthInBytes);
  const uint64_t src_pitch = pitch_or(c.srcPitch, c.WidthInBytes);
  const uint64_t dst_height = pitch_or(c.dstHeight, c.Height);
  const uint64_t src_height = pitch_or(c.srcHeight, c.Height);
  for (uint64_t z = 0; z < c.Depth; ++z) {
    const uint64_t dst_row = (c.dstZ + z) * dst_height + c.dstY;
    const uint64_t src_row = (c.srcZ + z) * src_height + c.srcY;
    slices.push_back({linear_start(c.dstMemoryType, c.dstHost, c.dstDevice, c.dstXInBytes, dst_row * dst_pitch),
                      linear_start(c.srcMemoryType, c.srcHost, c.srcDevice, c.srcXInBytes, src_row * src_pitch),
                      c.WidthInBytes, c.Height, dst_pitch, src_pitch, c.dstMemoryType == CU_MEMORYTYPE_DEVICE,
                      c.srcMemoryType == CU_MEMORYTYPE_DEVICE});
  }
  return slices;
}

}  // namespace loretoken
