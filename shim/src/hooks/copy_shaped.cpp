// Copies of rectangles and boxes: the linear side is made raw.
#include "hooks/operation.h"
#include "reach/shapes.h"

namespace loretoken::hooks {
namespace {

CopySpec rectangle(const CUDA_MEMCPY2D& c) {
  return {linear_start(c.dstMemoryType, c.dstHost, c.dstDevice, c.dstXInBytes, c.dstY * c.dstPitch),
          linear_start(c.srcMemoryType, c.srcHost, c.srcDevice, c.srcXInBytes, c.srcY * c.srcPitch),
          c.WidthInBytes,
          c.Height,
          pitch_or(c.dstPitch, c.WidthInBytes),
          pitch_or(c.srcPitch, c.WidthInBytes)};
}

CUresult copy_rectangle(const CUDA_MEMCPY2D* c, CUstream stream, bool per_thread, bool async, DriverCall call) {
  return c == nullptr ? call() : copy_on(rectangle(*c), stream, per_thread, async, call);
}

template <class Box>
CUresult copy_box(const Box* c, CUstream stream, bool per_thread, bool async, DriverCall call) {
  if (c == nullptr || nothing_ours()) return call();
  return copy_on(slices_of(*c), stream, per_thread, async, call);
}

}  // namespace

CUresult cuMemcpy2D_v2(const CUDA_MEMCPY2D* copy, bool per_thread) {
  return copy_rectangle(copy, nullptr, per_thread, false,
                        [&] { return LORETOKEN_REAL_PT(cuMemcpy2D_v2, cuMemcpy2D_v2_ptds, per_thread)(copy); });
}

CUresult cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D* copy, bool per_thread) {
  return copy_rectangle(copy, nullptr, per_thread, false, [&] {
    return LORETOKEN_REAL_PT(cuMemcpy2DUnaligned_v2, cuMemcpy2DUnaligned_v2_ptds, per_thread)(copy);
  });
}

CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D* copy, CUstream stream, bool per_thread) {
  return copy_rectangle(copy, stream, per_thread, true, [&] {
    return LORETOKEN_REAL_PT(cuMemcpy2DAsync_v2, cuMemcpy2DAsync_v2_ptsz, per_thread)(copy, stream);
  });
}

CUresult cuMemcpy3D_v2(const CUDA_MEMCPY3D* copy, bool per_thread) {
  return copy_box(copy, nullptr, per_thread, false,
                  [&] { return LORETOKEN_REAL_PT(cuMemcpy3D_v2, cuMemcpy3D_v2_ptds, per_thread)(copy); });
}

CUresult cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D* copy, CUstream stream, bool per_thread) {
  return copy_box(copy, stream, per_thread, true, [&] {
    return LORETOKEN_REAL_PT(cuMemcpy3DAsync_v2, cuMemcpy3DAsync_v2_ptsz, per_thread)(copy, stream);
  });
}

CUresult cuMemcpy3DPeer(const CUDA_MEMCPY3D_PEER* copy, bool per_thread) {
  return copy_box(copy, nullptr, per_thread, false,
                  [&] { return LORETOKEN_REAL_PT(cuMemcpy3DPeer, cuMemcpy3DPeer_ptds, per_thread)(copy); });
}

CUresult cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER* copy, CUstream stream, bool per_thread) {
  return copy_box(copy, stream, per_thread, true, [&] {
    return LORETOKEN_REAL_PT(cuMemcpy3DPeerAsync, cuMemcpy3DPeerAsync_ptsz, per_thread)(copy, stream);
  });
}

}  // namespace loretoken::hooks
