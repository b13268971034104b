// cuMemset*: every width, one and two dimensions.
#include <cstring>

#include "api.h"
#include "copy.h"
#include "graph.h"

namespace loretoken::sim {

namespace {

template <class T>
void fill(char* row, unsigned value, size_t count) {
  T* out = reinterpret_cast<T*>(row);
  for (size_t i = 0; i < count; ++i) out[i] = static_cast<T>(value);
}

}  // namespace

CUresult memset_body(const CUDA_MEMSET_NODE_PARAMS_v1& p, MemsetBody& body) {
  const bool known = p.elementSize == 1 || p.elementSize == 2 || p.elementSize == 4;
  if (!known || p.dst % p.elementSize) return CUDA_ERROR_INVALID_VALUE;
  if (p.height > 1 && (p.pitch < p.width * p.elementSize || p.pitch % p.elementSize)) return CUDA_ERROR_INVALID_VALUE;
  if (!p.width || !p.height) {
    body.set.width = 0;
    return CUDA_SUCCESS;
  }
  const size_t span = (p.height - 1) * p.pitch + p.width * p.elementSize;
  if (CUresult error = check_address(p.dst, span)) return error;
  body.set = {p.dst, p.pitch, p.value, p.elementSize, p.width, p.height, nullptr};
  return CUDA_SUCCESS;
}

void execute_memset(const MemsetBody& body) {
  const auto& s = body.set;
  if (!s.width) return;
  for (size_t y = 0; y < s.height; ++y) {
    char* row = reinterpret_cast<char*>(s.dst) + y * s.pitch;
    if (s.elementSize == 1) {
      std::memset(row, static_cast<int>(s.value & 0xff), s.width);
    } else if (s.elementSize == 2) {
      fill<uint16_t>(row, s.value, s.width);
    } else {
      fill<uint32_t>(row, s.value, s.width);
    }
  }
}

namespace {

// Synchronous ones return at once too, unless the memory is pinned host memory.
CUresult set(ApiCall& api, CUdeviceptr target, size_t pitch, unsigned value, unsigned element, size_t width,
             size_t height, CUstream handle, Blocking blocking) {
  Lock lock(state().mutex);
  auto stream = find_stream(*api.ctx, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  MemsetBody body;
  if (CUresult error = memset_body({target, pitch, value, element, width, height}, body)) return error;
  if (blocking == Blocking::kSync)
    if (CUresult error = refuse_captured(*stream)) return error;
  if (!body.set.width) return CUDA_SUCCESS;
  const bool pinned = is_pinned(reinterpret_cast<void*>(target), 1);
  std::shared_ptr<Marker> marker;
  if (CUresult error = submit(lock, stream, body, &marker)) return error;
  if (blocking == Blocking::kAsync || !pinned) return CUDA_SUCCESS;
  wait(lock, marker);
  return api.ctx->sticky;
}

}  // namespace

}  // namespace loretoken::sim

using namespace loretoken::sim;

extern "C" {

#define SIM_MEMSET(bits, type)                                                                                 \
  CUresult cuMemsetD##bits##_v2(CUdeviceptr target, type value, size_t count) {                                \
    SIM_API(cuMemsetD##bits##_v2, kContext);                                                                   \
    return set(api, target, 0, value, bits / 8, count, 1, nullptr, Blocking::kSync);                           \
  }                                                                                                            \
  CUresult cuMemsetD##bits##Async(CUdeviceptr target, type value, size_t count, CUstream stream) {             \
    SIM_API(cuMemsetD##bits##Async, kContext);                                                                 \
    return set(api, target, 0, value, bits / 8, count, 1, stream, Blocking::kAsync);                           \
  }                                                                                                            \
  CUresult cuMemsetD2D##bits##_v2(CUdeviceptr target, size_t pitch, type value, size_t width, size_t height) { \
    SIM_API(cuMemsetD2D##bits##_v2, kContext);                                                                 \
    return set(api, target, pitch, value, bits / 8, width, height, nullptr, Blocking::kSync);                  \
  }                                                                                                            \
  CUresult cuMemsetD2D##bits##Async(CUdeviceptr target, size_t pitch, type value, size_t width, size_t height, \
                                    CUstream stream) {                                                         \
    SIM_API(cuMemsetD2D##bits##Async, kContext);                                                               \
    return set(api, target, pitch, value, bits / 8, width, height, stream, Blocking::kAsync);                  \
  }

SIM_MEMSET(8, unsigned char)
SIM_MEMSET(16, unsigned short)
SIM_MEMSET(32, unsigned int)

}  // extern "C"
