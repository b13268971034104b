#include "copy.h"

#include <cstring>

#include "api.h"
#include "array.h"
#include "module.h"

namespace loretoken::sim {

namespace {

constexpr size_t kStagedReturn = 64u << 10;  // a synchronous copy this small returns once it is staged

struct Side {
  char* base = nullptr;  // of the first byte to copy
  size_t pitch = 0;
  size_t slice = 0;
};

enum class Place { kDevice, kPinned, kPageable };

Side side_of(CUmemorytype type, void* host, CUdeviceptr device, CUarray array, size_t x, size_t y, size_t z,
             size_t pitch, size_t height, const CUDA_MEMCPY3D_PEER& shape) {
  Side side;
  if (type == CU_MEMORYTYPE_ARRAY) {
    const auto& a = *reinterpret_cast<const Array*>(array);
    side.base = reinterpret_cast<char*>(a.base);
    side.pitch = a.pitch;
    side.slice = a.pitch * a.height;
  } else {
    side.base = type == CU_MEMORYTYPE_HOST ? static_cast<char*>(host) : reinterpret_cast<char*>(device);
    side.pitch = pitch ? pitch : x + shape.WidthInBytes;
    side.slice = side.pitch * (height ? height : y + shape.Height);
  }
  side.base += z * side.slice + y * side.pitch + x;
  return side;
}

Side source_of(const CUDA_MEMCPY3D_PEER& s) {
  return side_of(s.srcMemoryType, const_cast<void*>(s.srcHost), s.srcDevice, s.srcArray, s.srcXInBytes, s.srcY, s.srcZ,
                 s.srcPitch, s.srcHeight, s);
}

Side target_of(const CUDA_MEMCPY3D_PEER& s) {
  return side_of(s.dstMemoryType, s.dstHost, s.dstDevice, s.dstArray, s.dstXInBytes, s.dstY, s.dstZ, s.dstPitch,
                 s.dstHeight, s);
}

size_t span_of(const Side& side, const CUDA_MEMCPY3D_PEER& s) {
  return (s.Depth - 1) * side.slice + (s.Height - 1) * side.pitch + s.WidthInBytes;
}

Place place_of(CUmemorytype type, const Side& side, const CUDA_MEMCPY3D_PEER& s) {
  if (type == CU_MEMORYTYPE_ARRAY || type == CU_MEMORYTYPE_DEVICE) return Place::kDevice;
  const auto address = reinterpret_cast<uintptr_t>(side.base);
  if (is_device_address(address) || find_global(address)) return Place::kDevice;
  return is_pinned(side.base, span_of(side, s)) ? Place::kPinned : Place::kPageable;
}

void copy_box(const Side& target, const Side& source, const CUDA_MEMCPY3D_PEER& s) {
  const size_t row = s.WidthInBytes;
  const bool dense_rows = target.pitch == row && source.pitch == row;
  for (size_t z = 0; z < s.Depth; ++z) {
    char* to = target.base + z * target.slice;
    const char* from = source.base + z * source.slice;
    if (dense_rows) {
      std::memmove(to, from, row * s.Height);
      continue;
    }
    for (size_t y = 0; y < s.Height; ++y) std::memmove(to + y * target.pitch, from + y * source.pitch, row);
  }
}

bool empty(const CUDA_MEMCPY3D_PEER& s) {
  return !s.WidthInBytes || !s.Height || !s.Depth;
}

Side dense(char* data, const CUDA_MEMCPY3D_PEER& s) {
  return {data, s.WidthInBytes, s.WidthInBytes * s.Height};
}

CUresult check_array(CUarray handle, size_t x, size_t y, size_t z, const CUDA_MEMCPY3D_PEER& s) {
  auto array = state().arrays.find(handle);
  if (!array) return CUDA_ERROR_INVALID_HANDLE;
  const bool inside =
      x + s.WidthInBytes <= array->pitch && y + s.Height <= array->height && z + s.Depth <= array->depth;
  return inside ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult check_side(CUmemorytype type, const Side& side, const CUDA_MEMCPY3D_PEER& s) {
  if (s.Height > 1 && side.pitch < s.WidthInBytes) return CUDA_ERROR_INVALID_VALUE;
  if (s.Depth > 1 && side.slice < s.Height * side.pitch) return CUDA_ERROR_INVALID_VALUE;
  if (type == CU_MEMORYTYPE_HOST) return side.base ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  if (type == CU_MEMORYTYPE_UNIFIED) {
    // Any host address is fine; what the driver knows must be long enough.
    const auto address = reinterpret_cast<uintptr_t>(side.base);
    if (!address) return CUDA_ERROR_INVALID_VALUE;
    return is_device_address(address) ? check_address(address, span_of(side, s)) : CUDA_SUCCESS;
  }
  return check_address(reinterpret_cast<CUdeviceptr>(side.base), span_of(side, s));
}

}  // namespace

CUresult check_address(CUdeviceptr address, size_t bytes) {
  if (!address) return CUDA_ERROR_INVALID_VALUE;
  if (auto found = find_allocation(address))
    return address + bytes <= found->base + found->size ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  if (find_mapping(address)) return CUDA_SUCCESS;
  if (const LtHostGlobal* global = find_global(address))
    return address + bytes <= reinterpret_cast<uintptr_t>(global->address) + global->size ? CUDA_SUCCESS
                                                                                          : CUDA_ERROR_INVALID_VALUE;
  return CUDA_ERROR_INVALID_VALUE;
}

CopyBody linear_copy(CUdeviceptr target, CUdeviceptr source, size_t bytes) {
  CopyBody copy;
  auto& s = copy.shape;
  s.srcMemoryType = s.dstMemoryType = CU_MEMORYTYPE_UNIFIED;
  s.srcDevice = source;
  s.dstDevice = target;
  s.WidthInBytes = bytes;
  s.Height = s.Depth = 1;
  return copy;
}

CopyBody copy_from(const CUDA_MEMCPY2D_v2& p) {
  CopyBody copy;
  auto& s = copy.shape;
  s.srcXInBytes = p.srcXInBytes;
  s.srcY = p.srcY;
  s.srcMemoryType = p.srcMemoryType;
  s.srcHost = p.srcHost;
  s.srcDevice = p.srcDevice;
  s.srcArray = p.srcArray;
  s.srcPitch = p.srcPitch;
  s.dstXInBytes = p.dstXInBytes;
  s.dstY = p.dstY;
  s.dstMemoryType = p.dstMemoryType;
  s.dstHost = p.dstHost;
  s.dstDevice = p.dstDevice;
  s.dstArray = p.dstArray;
  s.dstPitch = p.dstPitch;
  s.WidthInBytes = p.WidthInBytes;
  s.Height = p.Height;
  s.Depth = 1;
  return copy;
}

CopyBody copy_from(const CUDA_MEMCPY3D_v2& p) {
  // The peer form has contexts where this one has reserved words; all else lies at the same place.
  static_assert(sizeof(CUDA_MEMCPY3D_v2) == sizeof(CUDA_MEMCPY3D_PEER));
  CopyBody copy;
  std::memcpy(&copy.shape, &p, sizeof p);
  copy.shape.srcContext = copy.shape.dstContext = nullptr;
  return copy;
}

CUresult check_copy(const CopyBody& copy) {
  const auto& s = copy.shape;
  for (CUmemorytype type : {s.srcMemoryType, s.dstMemoryType})
    if (type < CU_MEMORYTYPE_HOST || type > CU_MEMORYTYPE_UNIFIED) return CUDA_ERROR_INVALID_VALUE;
  if (s.srcLOD || s.dstLOD) return CUDA_ERROR_INVALID_VALUE;
  if (empty(s)) return CUDA_SUCCESS;
  if (CUresult error = s.srcMemoryType == CU_MEMORYTYPE_ARRAY
                           ? check_array(s.srcArray, s.srcXInBytes, s.srcY, s.srcZ, s)
                           : check_side(s.srcMemoryType, source_of(s), s))
    return error;
  return s.dstMemoryType == CU_MEMORYTYPE_ARRAY ? check_array(s.dstArray, s.dstXInBytes, s.dstY, s.dstZ, s)
                                                : check_side(s.dstMemoryType, target_of(s), s);
}

CUresult submit_copy(Lock& lock, const std::shared_ptr<Stream>& stream, CopyBody copy, Blocking blocking) {
  if (CUresult error = check_copy(copy)) return error;
  if (blocking == Blocking::kSync)
    if (CUresult error = refuse_captured(*stream)) return error;
  const auto& s = copy.shape;
  if (empty(s)) return CUDA_SUCCESS;
  const Place from = place_of(s.srcMemoryType, source_of(s), s);
  const Place to = place_of(s.dstMemoryType, target_of(s), s);
  const bool capturing = stream->capture != nullptr;
  bool wait_for_it = to == Place::kPageable || (from != Place::kDevice && to != Place::kDevice);
  if (from == Place::kPageable && to == Place::kDevice && !capturing) {
    const size_t bytes = s.WidthInBytes * s.Height * s.Depth;
    lock.unlock();
    copy.staged = std::make_shared<std::vector<char>>(bytes);
    copy_box(dense(copy.staged->data(), s), source_of(s), s);
    lock.lock();
    wait_for_it = wait_for_it || (blocking == Blocking::kSync && bytes > kStagedReturn);
  } else if (blocking == Blocking::kSync) {
    wait_for_it = wait_for_it || from == Place::kPinned || to == Place::kPinned;
  }
  auto ctx = stream->ctx;
  std::shared_ptr<Marker> marker;
  if (CUresult error = submit(lock, stream, std::move(copy), &marker)) return error;
  if (!wait_for_it || !marker) return CUDA_SUCCESS;
  wait(lock, marker);
  return ctx->sticky;
}

void execute_copy(const CopyBody& copy) {
  const auto& s = copy.shape;
  if (empty(s)) return;
  copy_box(target_of(s), copy.staged ? dense(copy.staged->data(), s) : source_of(s), s);
}

}  // namespace loretoken::sim
