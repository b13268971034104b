// CUDA on a CPU, for kernels that are to run without a GPU: `g++ -x c++ -include cuda_host.h kernels.cu`.
//
// Covers the qualifiers, built-in variables, vector types, barriers, warp collectives, atomics, bit operations and math
// that this project's kernels use. Inline PTX belongs under `#if defined(__CUDA_ARCH__)` with a plain branch beside it.
#ifndef LORETOKEN_CUDA_HOST_H
#define LORETOKEN_CUDA_HOST_H

#define LORETOKEN_ON_HOST 1

#include "host_intrinsics.h"
#include "host_register.h"
#include "host_types.h"

#endif  // LORETOKEN_CUDA_HOST_H
