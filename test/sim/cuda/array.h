// CUDA arrays: pitched device memory behind a handle.
#ifndef LORETOKEN_SIM_ARRAY_H
#define LORETOKEN_SIM_ARRAY_H

#include "state.h"

namespace loretoken::sim {

struct Array {
  CUDA_ARRAY3D_DESCRIPTOR shape{};
  CUdeviceptr base = 0;
  size_t pitch = 0;   // bytes per row
  size_t height = 1;  // rows per slice
  size_t depth = 1;
  std::shared_ptr<Allocation> memory;
};

}  // namespace loretoken::sim

#endif  // LORETOKEN_SIM_ARRAY_H
