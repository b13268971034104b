// Sets: the destination is made raw.
#include "hooks/operation.h"

namespace loretoken::hooks {
namespace {

CopySpec rows_at(CUdeviceptr dst, size_t pitch, size_t width, size_t height) {
  return {dst, 0, width, height, pitch, 0};
}

}  // namespace

CUresult cuMemsetD8_v2(CUdeviceptr dst, unsigned char value, size_t count, bool per_thread) {
  return touch_on(plain(dst, 0, count), nullptr, per_thread, Blocking::kYes,
                  [&] { return LORETOKEN_REAL_PT(cuMemsetD8_v2, cuMemsetD8_v2_ptds, per_thread)(dst, value, count); });
}

CUresult cuMemsetD8Async(CUdeviceptr dst, unsigned char value, size_t count, CUstream stream, bool per_thread) {
  return touch_on(plain(dst, 0, count), stream, per_thread, Blocking::kNo, [&] {
    return LORETOKEN_REAL_PT(cuMemsetD8Async, cuMemsetD8Async_ptsz, per_thread)(dst, value, count, stream);
  });
}

CUresult cuMemsetD2D8_v2(CUdeviceptr dst, size_t pitch, unsigned char value, size_t width, size_t height,
                         bool per_thread) {
  return touch_on(rows_at(dst, pitch, width, height), nullptr, per_thread, Blocking::kYes, [&] {
    return LORETOKEN_REAL_PT(cuMemsetD2D8_v2, cuMemsetD2D8_v2_ptds, per_thread)(dst, pitch, value, width, height);
  });
}

CUresult cuMemsetD2D8Async(CUdeviceptr dst, size_t pitch, unsigned char value, size_t width, size_t height,
                           CUstream stream, bool per_thread) {
  return touch_on(rows_at(dst, pitch, width, height), stream, per_thread, Blocking::kNo, [&] {
    return LORETOKEN_REAL_PT(cuMemsetD2D8Async, cuMemsetD2D8Async_ptsz, per_thread)(dst, pitch, value, width, height,
                                                                                    stream);
  });
}

CUresult cuMemsetD16_v2(CUdeviceptr dst, unsigned short value, size_t count, bool per_thread) {
  return touch_on(plain(dst, 0, count * 2), nullptr, per_thread, Blocking::kYes, [&] {
    return LORETOKEN_REAL_PT(cuMemsetD16_v2, cuMemsetD16_v2_ptds, per_thread)(dst, value, count);
  });
}

CUresult cuMemsetD16Async(CUdeviceptr dst, unsigned short value, size_t count, CUstream stream, bool per_thread) {
  return touch_on(plain(dst, 0, count * 2), stream, per_thread, Blocking::kNo, [&] {
    return LORETOKEN_REAL_PT(cuMemsetD16Async, cuMemsetD16Async_ptsz, per_thread)(dst, value, count, stream);
  });
}

CUresult cuMemsetD2D16_v2(CUdeviceptr dst, size_t pitch, unsigned short value, size_t width, size_t height,
                          bool per_thread) {
  return touch_on(rows_at(dst, pitch, width * 2, height), nullptr, per_thread, Blocking::kYes, [&] {
    return LORETOKEN_REAL_PT(cuMemsetD2D16_v2, cuMemsetD2D16_v2_ptds, per_thread)(dst, pitch, value, width, height);
  });
}

CUresult cuMemsetD2D16Async(CUdeviceptr dst, size_t pitch, unsigned short value, size_t width, size_t height,
                            CUstream stream, bool per_thread) {
  return touch_on(rows_at(dst, pitch, width * 2, height), stream, per_thread, Blocking::kNo, [&] {
    return LORETOKEN_REAL_PT(cuMemsetD2D16Async, cuMemsetD2D16Async_ptsz, per_thread)(dst, pitch, value, width, height,
                                                                                      stream);
  });
}

CUresult cuMemsetD32_v2(CUdeviceptr dst, unsigned int value, size_t count, bool per_thread) {
  return touch_on(plain(dst, 0, count * 4), nullptr, per_thread, Blocking::kYes, [&] {
    return LORETOKEN_REAL_PT(cuMemsetD32_v2, cuMemsetD32_v2_ptds, per_thread)(dst, value, count);
  });
}

CUresult cuMemsetD32Async(CUdeviceptr dst, unsigned int value, size_t count, CUstream stream, bool per_thread) {
  return touch_on(plain(dst, 0, count * 4), stream, per_thread, Blocking::kNo, [&] {
    return LORETOKEN_REAL_PT(cuMemsetD32Async, cuMemsetD32Async_ptsz, per_thread)(dst, value, count, stream);
  });
}

CUresult cuMemsetD2D32_v2(CUdeviceptr dst, size_t pitch, unsigned int value, size_t width, size_t height,
                          bool per_thread) {
  return touch_on(rows_at(dst, pitch, width * 4, height), nullptr, per_thread, Blocking::kYes, [&] {
    return LORETOKEN_REAL_PT(cuMemsetD2D32_v2, cuMemsetD2D32_v2_ptds, per_thread)(dst, pitch, value, width, height);
  });
}

CUresult cuMemsetD2D32Async(CUdeviceptr dst, size_t pitch, unsigned int value, size_t width, size_t height,
                            CUstream stream, bool per_thread) {
  return touch_on(rows_at(dst, pitch, width * 4, height), stream, per_thread, Blocking::kNo, [&] {
    return LORETOKEN_REAL_PT(cuMemsetD2D32Async, cuMemsetD2D32Async_ptsz, per_thread)(dst, pitch, value, width, height,
                                                                                      stream);
  });
}

}  // namespace loretoken::hooks
