// Copies in two and three dimensions, between arrays, and in batches.
#include "api.h"
#include "array.h"
#include "copy.h"

using namespace loretoken::sim;

namespace {

CUresult run(ApiCall& api, CopyBody copy, CUstream handle, Blocking blocking) {
  Lock lock(state().mutex);
  auto stream = find_stream(*api.ctx, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  return submit_copy(lock, stream, std::move(copy), blocking);
}

// One row between an array and something else. The offset may pass over rows.
CUresult run_array(ApiCall& api, CUarray array, size_t offset, bool to_array, CopyBody copy, size_t bytes,
                   CUstream handle, Blocking blocking) {
  Lock lock(state().mutex);
  auto stream = find_stream(*api.ctx, handle);
  auto found = state().arrays.find(array);
  if (!stream || !found) return CUDA_ERROR_INVALID_HANDLE;
  auto& s = copy.shape;
  s.WidthInBytes = bytes;
  s.Height = s.Depth = 1;
  if (offset / found->pitch >= found->height * found->depth || offset % found->pitch + bytes > found->pitch)
    return CUDA_ERROR_INVALID_VALUE;
  const size_t row = offset / found->pitch;
  if (to_array) {
    s.dstMemoryType = CU_MEMORYTYPE_ARRAY;
    s.dstArray = array;
    s.dstXInBytes = offset % found->pitch;
    s.dstY = row % found->height;
    s.dstZ = row / found->height;
  } else {
    s.srcMemoryType = CU_MEMORYTYPE_ARRAY;
    s.srcArray = array;
    s.srcXInBytes = offset % found->pitch;
    s.srcY = row % found->height;
    s.srcZ = row / found->height;
  }
  return submit_copy(lock, stream, std::move(copy), blocking);
}

CopyBody from_host(const void* source) {
  CopyBody copy;
  copy.shape.srcMemoryType = CU_MEMORYTYPE_HOST;
  copy.shape.srcHost = source;
  return copy;
}

CopyBody to_host(void* target) {
  CopyBody copy;
  copy.shape.dstMemoryType = CU_MEMORYTYPE_HOST;
  copy.shape.dstHost = target;
  return copy;
}

CopyBody peer(const CUDA_MEMCPY3D_PEER& shape) {
  CopyBody copy;
  copy.shape = shape;
  return copy;
}

// Batches cannot be captured; the capture goes on.
CUresult refuse_in_capture(ApiCall& api, CUstream handle) {
  Lock lock(state().mutex);
  auto stream = find_stream(*api.ctx, handle);
  return stream && stream->capture ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_SUCCESS;
}

CopyBody batch_copy(const CUDA_MEMCPY3D_BATCH_OP& op, CUresult& error) {
  CopyBody copy;
  auto& s = copy.shape;
  s.WidthInBytes = op.extent.width;
  s.Height = op.extent.height;
  s.Depth = op.extent.depth;
  for (const CUmemcpy3DOperand* side : {&op.src, &op.dst})
    if (side->type != CU_MEMCPY_OPERAND_TYPE_POINTER) error = CUDA_ERROR_NOT_SUPPORTED;
  if (error) return copy;
  s.srcMemoryType = s.dstMemoryType = CU_MEMORYTYPE_UNIFIED;
  s.srcDevice = op.src.op.ptr.ptr;
  s.srcPitch = op.src.op.ptr.rowLength;
  s.srcHeight = op.src.op.ptr.layerHeight;
  s.dstDevice = op.dst.op.ptr.ptr;
  s.dstPitch = op.dst.op.ptr.rowLength;
  s.dstHeight = op.dst.op.ptr.layerHeight;
  return copy;
}

}  // namespace

extern "C" {

CUresult cuMemcpy2D_v2(const CUDA_MEMCPY2D* shape) {
  SIM_API(cuMemcpy2D_v2, kContext);
  return shape ? run(api, copy_from(*shape), nullptr, Blocking::kSync) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D* shape) {
  SIM_API(cuMemcpy2DUnaligned_v2, kContext);
  return shape ? run(api, copy_from(*shape), nullptr, Blocking::kSync) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D* shape, CUstream stream) {
  SIM_API(cuMemcpy2DAsync_v2, kContext);
  return shape ? run(api, copy_from(*shape), stream, Blocking::kAsync) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemcpy3D_v2(const CUDA_MEMCPY3D* shape) {
  SIM_API(cuMemcpy3D_v2, kContext);
  return shape ? run(api, copy_from(*shape), nullptr, Blocking::kSync) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D* shape, CUstream stream) {
  SIM_API(cuMemcpy3DAsync_v2, kContext);
  return shape ? run(api, copy_from(*shape), stream, Blocking::kAsync) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemcpy3DPeer(const CUDA_MEMCPY3D_PEER* shape) {
  SIM_API(cuMemcpy3DPeer, kContext);
  return shape ? run(api, peer(*shape), nullptr, Blocking::kSync) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER* shape, CUstream stream) {
  SIM_API(cuMemcpy3DPeerAsync, kContext);
  return shape ? run(api, peer(*shape), stream, Blocking::kAsync) : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemcpyHtoA_v2(CUarray array, size_t offset, const void* source, size_t bytes) {
  SIM_API(cuMemcpyHtoA_v2, kContext);
  return run_array(api, array, offset, true, from_host(source), bytes, nullptr, Blocking::kSync);
}

CUresult cuMemcpyHtoAAsync_v2(CUarray array, size_t offset, const void* source, size_t bytes, CUstream stream) {
  SIM_API(cuMemcpyHtoAAsync_v2, kContext);
  return run_array(api, array, offset, true, from_host(source), bytes, stream, Blocking::kAsync);
}

CUresult cuMemcpyAtoH_v2(void* target, CUarray array, size_t offset, size_t bytes) {
  SIM_API(cuMemcpyAtoH_v2, kContext);
  return run_array(api, array, offset, false, to_host(target), bytes, nullptr, Blocking::kSync);
}

CUresult cuMemcpyAtoHAsync_v2(void* target, CUarray array, size_t offset, size_t bytes, CUstream stream) {
  SIM_API(cuMemcpyAtoHAsync_v2, kContext);
  return run_array(api, array, offset, false, to_host(target), bytes, stream, Blocking::kAsync);
}

CUresult cuMemcpyDtoA_v2(CUarray array, size_t offset, CUdeviceptr source, size_t bytes) {
  SIM_API(cuMemcpyDtoA_v2, kContext);
  CopyBody copy;
  copy.shape.srcMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.shape.srcDevice = source;
  return run_array(api, array, offset, true, copy, bytes, nullptr, Blocking::kSync);
}

CUresult cuMemcpyAtoD_v2(CUdeviceptr target, CUarray array, size_t offset, size_t bytes) {
  SIM_API(cuMemcpyAtoD_v2, kContext);
  CopyBody copy;
  copy.shape.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.shape.dstDevice = target;
  return run_array(api, array, offset, false, copy, bytes, nullptr, Blocking::kSync);
}

CUresult cuMemcpyAtoA_v2(CUarray target, size_t target_offset, CUarray source, size_t source_offset, size_t bytes) {
  SIM_API(cuMemcpyAtoA_v2, kContext);
  CopyBody copy;
  {
    Lock lock(state().mutex);
    auto found = state().arrays.find(source);
    if (!found) return CUDA_ERROR_INVALID_HANDLE;
    copy.shape.srcMemoryType = CU_MEMORYTYPE_ARRAY;
    copy.shape.srcArray = source;
    copy.shape.srcXInBytes = source_offset % found->pitch;
    copy.shape.srcY = source_offset / found->pitch % found->height;
    copy.shape.srcZ = source_offset / found->pitch / found->height;
  }
  return run_array(api, target, target_offset, true, copy, bytes, nullptr, Blocking::kSync);
}

CUresult cuMemcpyBatchAsync_v2(CUdeviceptr* targets, CUdeviceptr* sources, size_t* sizes, size_t count,
                               CUmemcpyAttributes* attributes, size_t* attribute_indices, size_t attribute_count,
                               CUstream stream) {
  SIM_API(cuMemcpyBatchAsync_v2, kContext);
  if (!targets || !sources || !sizes || !count || !attributes || !attribute_indices || !attribute_count ||
      attribute_count > count || attribute_indices[0])
    return CUDA_ERROR_INVALID_VALUE;
  if (!stream || stream == CU_STREAM_LEGACY) return CUDA_ERROR_INVALID_VALUE;
  if (CUresult error = refuse_in_capture(api, stream)) return error;
  for (size_t i = 0; i < count; ++i) {
    if (!sizes[i]) return CUDA_ERROR_INVALID_VALUE;
    if (CUresult error = run(api, linear_copy(targets[i], sources[i], sizes[i]), stream, Blocking::kAsync))
      return error;
  }
  return CUDA_SUCCESS;
}

CUresult cuMemcpyBatchAsync(CUdeviceptr* targets, CUdeviceptr* sources, size_t* sizes, size_t count,
                            CUmemcpyAttributes* attributes, size_t* indices, size_t attribute_count, size_t* failed,
                            CUstream stream) {
  if (failed) *failed = SIZE_MAX;
  return cuMemcpyBatchAsync_v2(targets, sources, sizes, count, attributes, indices, attribute_count, stream);
}

CUresult cuMemcpy3DBatchAsync_v2(size_t count, CUDA_MEMCPY3D_BATCH_OP* ops, unsigned long long flags, CUstream stream) {
  SIM_API(cuMemcpy3DBatchAsync_v2, kContext);
  if (!count || !ops || flags || !stream || stream == CU_STREAM_LEGACY) return CUDA_ERROR_INVALID_VALUE;
  if (CUresult error = refuse_in_capture(api, stream)) return error;
  for (size_t i = 0; i < count; ++i) {
    CUresult error = CUDA_SUCCESS;
    CopyBody copy = batch_copy(ops[i], error);
    if (!error) error = run(api, std::move(copy), stream, Blocking::kAsync);
    if (error) return error;
  }
  return CUDA_SUCCESS;
}

CUresult cuMemcpy3DBatchAsync(size_t count, CUDA_MEMCPY3D_BATCH_OP* ops, size_t* failed, unsigned long long flags,
                              CUstream stream) {
  if (failed) *failed = SIZE_MAX;
  return cuMemcpy3DBatchAsync_v2(count, ops, flags, stream);
}

}  // extern "C"
