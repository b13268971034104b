// Stream memory operations: something outside any reach set waits for the address, so its memory stays raw.
#include "hooks/operation.h"

namespace loretoken::hooks {
namespace {

void pin_target(CUdeviceptr address) {
  if (!nothing_ours()) pin_address(address, 1, Pin::kMemOp);
}

void pin_targets(unsigned int count, const CUstreamBatchMemOpParams* operations) {
  for (unsigned int i = 0; operations != nullptr && i < count; ++i) {
    switch (operations[i].operation) {
      case CU_STREAM_MEM_OP_WAIT_VALUE_32:
      case CU_STREAM_MEM_OP_WAIT_VALUE_64:
        pin_target(operations[i].waitValue.address);
        break;
      case CU_STREAM_MEM_OP_WRITE_VALUE_32:
      case CU_STREAM_MEM_OP_WRITE_VALUE_64:
        pin_target(operations[i].writeValue.address);
        break;
      default:
        break;
    }
  }
}

// The operation's own range is marked for its stream, so that a free waits for it.
CUresult operation_on(CUdeviceptr address, CUstream stream, bool per_thread, DriverCall call) {
  pin_target(address);
  return touch_on(plain(address, 0, 8), stream, per_thread, Blocking::kNo, call);
}

}  // namespace

CUresult cuStreamWaitValue32(CUstream stream, CUdeviceptr address, cuuint32_t value, unsigned int flags,
                             bool per_thread) {
  return operation_on(address, stream, per_thread, [&] {
    return LORETOKEN_REAL_PT(cuStreamWaitValue32, cuStreamWaitValue32_ptsz, per_thread)(stream, address, value, flags);
  });
}

CUresult cuStreamWaitValue64(CUstream stream, CUdeviceptr address, cuuint64_t value, unsigned int flags,
                             bool per_thread) {
  return operation_on(address, stream, per_thread, [&] {
    return LORETOKEN_REAL_PT(cuStreamWaitValue64, cuStreamWaitValue64_ptsz, per_thread)(stream, address, value, flags);
  });
}

CUresult cuStreamWriteValue32(CUstream stream, CUdeviceptr address, cuuint32_t value, unsigned int flags,
                              bool per_thread) {
  return operation_on(address, stream, per_thread, [&] {
    return LORETOKEN_REAL_PT(cuStreamWriteValue32, cuStreamWriteValue32_ptsz, per_thread)(stream, address, value,
                                                                                          flags);
  });
}

CUresult cuStreamWriteValue64(CUstream stream, CUdeviceptr address, cuuint64_t value, unsigned int flags,
                              bool per_thread) {
  return operation_on(address, stream, per_thread, [&] {
    return LORETOKEN_REAL_PT(cuStreamWriteValue64, cuStreamWriteValue64_ptsz, per_thread)(stream, address, value,
                                                                                          flags);
  });
}

CUresult cuStreamBatchMemOp(CUstream stream, unsigned int count, CUstreamBatchMemOpParams* operations,
                            unsigned int flags, bool per_thread) {
  pin_targets(count, operations);
  return touch_on(plain(0, 0, 0), stream, per_thread, Blocking::kNo, [&] {
    return LORETOKEN_REAL_PT(cuStreamBatchMemOp, cuStreamBatchMemOp_ptsz, per_thread)(stream, count, operations, flags);
  });
}

CUresult cuStreamWaitValue32_v2(CUstream stream, CUdeviceptr address, cuuint32_t value, unsigned int flags,
                                bool per_thread) {
  return operation_on(address, stream, per_thread, [&] {
    return LORETOKEN_REAL_PT(cuStreamWaitValue32_v2, cuStreamWaitValue32_v2_ptsz, per_thread)(stream, address, value,
                                                                                              flags);
  });
}

CUresult cuStreamWaitValue64_v2(CUstream stream, CUdeviceptr address, cuuint64_t value, unsigned int flags,
                                bool per_thread) {
  return operation_on(address, stream, per_thread, [&] {
    return LORETOKEN_REAL_PT(cuStreamWaitValue64_v2, cuStreamWaitValue64_v2_ptsz, per_thread)(stream, address, value,
                                                                                              flags);
  });
}

CUresult cuStreamWriteValue32_v2(CUstream stream, CUdeviceptr address, cuuint32_t value, unsigned int flags,
                                 bool per_thread) {
  return operation_on(address, stream, per_thread, [&] {
    return LORETOKEN_REAL_PT(cuStreamWriteValue32_v2, cuStreamWriteValue32_v2_ptsz, per_thread)(stream, address, value,
                                                                                                flags);
  });
}

CUresult cuStreamWriteValue64_v2(CUstream stream, CUdeviceptr address, cuuint64_t value, unsigned int flags,
                                 bool per_thread) {
  return operation_on(address, stream, per_thread, [&] {
    return LORETOKEN_REAL_PT(cuStreamWriteValue64_v2, cuStreamWriteValue64_v2_ptsz, per_thread)(stream, address, value,
                                                                                                flags);
  });
}

CUresult cuStreamBatchMemOp_v2(CUstream stream, unsigned int count, CUstreamBatchMemOpParams* operations,
                               unsigned int flags, bool per_thread) {
  pin_targets(count, operations);
  return touch_on(plain(0, 0, 0), stream, per_thread, Blocking::kNo, [&] {
    return LORETOKEN_REAL_PT(cuStreamBatchMemOp_v2, cuStreamBatchMemOp_v2_ptsz, per_thread)(stream, count, operations,
                                                                                            flags);
  });
}

}  // namespace loretoken::hooks
