// Copies in one shape: three dimensions, pitches, any of host, device, array and unified addresses.
#ifndef LORETOKEN_SIM_COPY_H
#define LORETOKEN_SIM_COPY_H

#include "capture.h"
#include "state.h"

namespace loretoken::sim {

enum class Blocking { kAsync, kSync };

// A dense copy between two addresses, whose sides are found out (unified).
CopyBody linear_copy(CUdeviceptr target, CUdeviceptr source, size_t bytes);
CopyBody copy_from(const CUDA_MEMCPY2D_v2& shape);
CopyBody copy_from(const CUDA_MEMCPY3D_v2& shape);

// INVALID_VALUE for a shape that no copy can have or an address that nothing stands behind.
CUresult check_copy(const CopyBody& copy);
CUresult check_address(CUdeviceptr address, size_t bytes);

// Queues a copy with the documented relation to the host: pageable sources are read at the call, pageable targets are
// waited for, pinned memory is touched when the copy runs.
CUresult submit_copy(Lock& lock, const std::shared_ptr<Stream>& stream, CopyBody copy, Blocking blocking);

}  // namespace loretoken::sim

#endif  // LORETOKEN_SIM_COPY_H
