// Copies in batches.
#include "hooks/operation.h"

namespace loretoken::hooks {
namespace {

std::vector<CopySpec> pieces(const CUdeviceptr* dsts, const CUdeviceptr* srcs, const size_t* sizes, size_t count) {
  std::vector<CopySpec> all;
  if (dsts == nullptr || srcs == nullptr || sizes == nullptr) return all;
  for (size_t i = 0; i < count; ++i) all.push_back(plain(dsts[i], srcs[i], sizes[i]));
  return all;
}

// An operand's first byte; row and layer lengths are in elements whose size the call does not tell: for pointers they
// are bytes.
uint64_t start_of(const CUmemcpy3DOperand& operand) {
  return operand.type == CU_MEMCPY_OPERAND_TYPE_POINTER ? operand.op.ptr.ptr : 0;
}

void add_layers(const CUDA_MEMCPY3D_BATCH_OP& op, std::vector<CopySpec>* all) {
  const auto row = [&](const CUmemcpy3DOperand& o) {
    return o.type == CU_MEMCPY_OPERAND_TYPE_POINTER && o.op.ptr.rowLength != 0 ? o.op.ptr.rowLength : op.extent.width;
  };
  const auto layer = [&](const CUmemcpy3DOperand& o) {
    const bool given = o.type == CU_MEMCPY_OPERAND_TYPE_POINTER && o.op.ptr.layerHeight != 0;
    return row(o) * (given ? o.op.ptr.layerHeight : op.extent.height);
  };
  for (size_t z = 0; z < op.extent.depth; ++z) {
    const uint64_t dst = start_of(op.dst);
    const uint64_t src = start_of(op.src);
    all->push_back({dst != 0 ? dst + z * layer(op.dst) : 0, src != 0 ? src + z * layer(op.src) : 0, op.extent.width,
                    op.extent.height, row(op.dst), row(op.src)});
  }
}

std::vector<CopySpec> boxes(const CUDA_MEMCPY3D_BATCH_OP* ops, size_t count) {
  std::vector<CopySpec> all;
  for (size_t i = 0; ops != nullptr && i < count; ++i) add_layers(ops[i], &all);
  return all;
}

}  // namespace

CUresult cuMemcpyBatchAsync(CUdeviceptr* dsts, CUdeviceptr* srcs, size_t* sizes, size_t count,
                            CUmemcpyAttributes* attributes, size_t* indexes, size_t attribute_count, size_t* failed,
                            CUstream stream, bool per_thread) {
  return copy_on(pieces(dsts, srcs, sizes, count), stream, per_thread, true, [&] {
    return LORETOKEN_REAL_PT(cuMemcpyBatchAsync, cuMemcpyBatchAsync_ptsz, per_thread)(
        dsts, srcs, sizes, count, attributes, indexes, attribute_count, failed, stream);
  });
}

CUresult cuMemcpyBatchAsync_v2(CUdeviceptr* dsts, CUdeviceptr* srcs, size_t* sizes, size_t count,
                               CUmemcpyAttributes* attributes, size_t* indexes, size_t attribute_count, CUstream stream,
                               bool per_thread) {
  return copy_on(pieces(dsts, srcs, sizes, count), stream, per_thread, true, [&] {
    return LORETOKEN_REAL_PT(cuMemcpyBatchAsync_v2, cuMemcpyBatchAsync_v2_ptsz, per_thread)(
        dsts, srcs, sizes, count, attributes, indexes, attribute_count, stream);
  });
}

CUresult cuMemcpy3DBatchAsync(size_t count, CUDA_MEMCPY3D_BATCH_OP* ops, size_t* failed, unsigned long long flags,
                              CUstream stream, bool per_thread) {
  return copy_on(boxes(ops, count), stream, per_thread, true, [&] {
    return LORETOKEN_REAL_PT(cuMemcpy3DBatchAsync, cuMemcpy3DBatchAsync_ptsz, per_thread)(count, ops, failed, flags,
                                                                                          stream);
  });
}

CUresult cuMemcpy3DBatchAsync_v2(size_t count, CUDA_MEMCPY3D_BATCH_OP* ops, unsigned long long flags, CUstream stream,
                                 bool per_thread) {
  return copy_on(boxes(ops, count), stream, per_thread, true, [&] {
    return LORETOKEN_REAL_PT(cuMemcpy3DBatchAsync_v2, cuMemcpy3DBatchAsync_v2_ptsz, per_thread)(count, ops, flags,
                                                                                                stream);
  });
}

CUresult cuMemBatchDecompressAsync(CUmemDecompressParams* params, size_t count, unsigned int flags, size_t* failed,
                                   CUstream stream, bool per_thread) {
  const auto call = [&] {
    return LORETOKEN_REAL_PT(cuMemBatchDecompressAsync, cuMemBatchDecompressAsync_ptsz, per_thread)(
        params, count, flags, failed, stream);
  };
  if (nothing_ours()) return call();
  std::vector<CopySpec> all;
  for (size_t i = 0; params != nullptr && i < count; ++i) {
    all.push_back(plain(0, address_of(params[i].src), params[i].srcNumBytes));
    all.push_back(plain(address_of(params[i].dst), 0, params[i].dstNumBytes != 0 ? params[i].dstNumBytes : 1));
    all.push_back(plain(address_of(params[i].dstActBytes), 0, sizeof(cuuint32_t)));
  }
  return reach_core().touch(all, streams().slot_of(stream, per_thread), Blocking::kNo, call);
}

}  // namespace loretoken::hooks
