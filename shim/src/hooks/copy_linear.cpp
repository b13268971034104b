// Copies of one piece of linear memory.
#include "hooks/operation.h"

namespace loretoken::hooks {

CUresult cuMemcpyHtoD_v2(CUdeviceptr dst, const void* src, size_t bytes, bool per_thread) {
  return copy_on(plain(dst, address_of(src), bytes), nullptr, per_thread, false,
                 [&] { return LORETOKEN_REAL_PT(cuMemcpyHtoD_v2, cuMemcpyHtoD_v2_ptds, per_thread)(dst, src, bytes); });
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr dst, const void* src, size_t bytes, CUstream stream, bool per_thread) {
  return copy_on(plain(dst, address_of(src), bytes), stream, per_thread, true, [&] {
    return LORETOKEN_REAL_PT(cuMemcpyHtoDAsync_v2, cuMemcpyHtoDAsync_v2_ptsz, per_thread)(dst, src, bytes, stream);
  });
}

CUresult cuMemcpyDtoH_v2(void* dst, CUdeviceptr src, size_t bytes, bool per_thread) {
  return copy_on(plain(address_of(dst), src, bytes), nullptr, per_thread, false,
                 [&] { return LORETOKEN_REAL_PT(cuMemcpyDtoH_v2, cuMemcpyDtoH_v2_ptds, per_thread)(dst, src, bytes); });
}

CUresult cuMemcpyDtoHAsync_v2(void* dst, CUdeviceptr src, size_t bytes, CUstream stream, bool per_thread) {
  return copy_on(plain(address_of(dst), src, bytes), stream, per_thread, true, [&] {
    return LORETOKEN_REAL_PT(cuMemcpyDtoHAsync_v2, cuMemcpyDtoHAsync_v2_ptsz, per_thread)(dst, src, bytes, stream);
  });
}

CUresult cuMemcpyDtoD_v2(CUdeviceptr dst, CUdeviceptr src, size_t bytes, bool per_thread) {
  return copy_on(plain(dst, src, bytes), nullptr, per_thread, false,
                 [&] { return LORETOKEN_REAL_PT(cuMemcpyDtoD_v2, cuMemcpyDtoD_v2_ptds, per_thread)(dst, src, bytes); });
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream, bool per_thread) {
  return copy_on(plain(dst, src, bytes), stream, per_thread, true, [&] {
    return LORETOKEN_REAL_PT(cuMemcpyDtoDAsync_v2, cuMemcpyDtoDAsync_v2_ptsz, per_thread)(dst, src, bytes, stream);
  });
}

CUresult cuMemcpyDtoA_v2(CUarray dst, size_t offset, CUdeviceptr src, size_t bytes, bool per_thread) {
  return copy_on(plain(0, src, bytes), nullptr, per_thread, false, [&] {
    return LORETOKEN_REAL_PT(cuMemcpyDtoA_v2, cuMemcpyDtoA_v2_ptds, per_thread)(dst, offset, src, bytes);
  });
}

CUresult cuMemcpyAtoD_v2(CUdeviceptr dst, CUarray src, size_t offset, size_t bytes, bool per_thread) {
  return copy_on(plain(dst, 0, bytes), nullptr, per_thread, false, [&] {
    return LORETOKEN_REAL_PT(cuMemcpyAtoD_v2, cuMemcpyAtoD_v2_ptds, per_thread)(dst, src, offset, bytes);
  });
}

CUresult cuMemcpy(CUdeviceptr dst, CUdeviceptr src, size_t bytes, bool per_thread) {
  return copy_on(plain(dst, src, bytes), nullptr, per_thread, false,
                 [&] { return LORETOKEN_REAL_PT(cuMemcpy, cuMemcpy_ptds, per_thread)(dst, src, bytes); });
}

CUresult cuMemcpyAsync(CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream, bool per_thread) {
  return copy_on(plain(dst, src, bytes), stream, per_thread, true, [&] {
    return LORETOKEN_REAL_PT(cuMemcpyAsync, cuMemcpyAsync_ptsz, per_thread)(dst, src, bytes, stream);
  });
}

CUresult cuMemcpyPeer(CUdeviceptr dst, CUcontext to, CUdeviceptr src, CUcontext from, size_t bytes, bool per_thread) {
  return copy_on(plain(dst, src, bytes), nullptr, per_thread, false, [&] {
    return LORETOKEN_REAL_PT(cuMemcpyPeer, cuMemcpyPeer_ptds, per_thread)(dst, to, src, from, bytes);
  });
}

CUresult cuMemcpyPeerAsync(CUdeviceptr dst, CUcontext to, CUdeviceptr src, CUcontext from, size_t bytes,
                           CUstream stream, bool per_thread) {
  return copy_on(plain(dst, src, bytes), stream, per_thread, true, [&] {
    return LORETOKEN_REAL_PT(cuMemcpyPeerAsync, cuMemcpyPeerAsync_ptsz, per_thread)(dst, to, src, from, bytes, stream);
  });
}

}  // namespace loretoken::hooks
