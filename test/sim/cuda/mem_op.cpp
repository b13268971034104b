// Waiting for and writing words in stream order.
#include <chrono>
#include <thread>

#include "api.h"
#include "capture.h"
#include "copy.h"

namespace loretoken::sim {

namespace {

template <class T>
bool satisfied(T have, T want, unsigned flags) {
  switch (flags & 3) {
    case CU_STREAM_WAIT_VALUE_GEQ:
      return static_cast<std::make_signed_t<T>>(have - want) >= 0;
    case CU_STREAM_WAIT_VALUE_EQ:
      return have == want;
    case CU_STREAM_WAIT_VALUE_AND:
      return (have & want) != 0;
    default:
      return static_cast<T>(~(have | want)) != 0;
  }
}

template <class T>
void wait_value(CUdeviceptr address, T want, unsigned flags, const std::shared_ptr<Stream>& stream) {
  auto* word = reinterpret_cast<T*>(address);
  for (unsigned spins = 0;; ++spins) {
    if (satisfied<T>(__atomic_load_n(word, __ATOMIC_ACQUIRE), want, flags)) return;
    if (spins < 64) {
      std::this_thread::yield();
      continue;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(50));
    Lock lock(state().mutex);
    if (state().exiting || stream->ctx->sticky != CUDA_SUCCESS) return;
  }
}

template <class T>
void write_value(CUdeviceptr address, T value) {
  __atomic_store_n(reinterpret_cast<T*>(address), value, __ATOMIC_RELEASE);
}

CUresult check_word(CUdeviceptr address, size_t bytes) {
  if (!address || address % bytes) return CUDA_ERROR_INVALID_VALUE;
  if (is_pinned(reinterpret_cast<void*>(address), bytes)) return CUDA_SUCCESS;
  return check_address(address, bytes);
}

CUresult check_op(const CUstreamBatchMemOpParams& op) {
  switch (op.operation) {
    case CU_STREAM_MEM_OP_WAIT_VALUE_32:
    case CU_STREAM_MEM_OP_WRITE_VALUE_32:
      return check_word(op.waitValue.address, 4);
    case CU_STREAM_MEM_OP_WAIT_VALUE_64:
    case CU_STREAM_MEM_OP_WRITE_VALUE_64:
      return check_word(op.waitValue.address, 8);
    case CU_STREAM_MEM_OP_BARRIER:
      return CUDA_SUCCESS;
    case CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES:
      return CUDA_ERROR_NOT_SUPPORTED;
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

CUresult submit_ops(ApiCall& api, CUstream handle, const CUstreamBatchMemOpParams* ops, unsigned count) {
  Lock lock(state().mutex);
  auto stream = find_stream(*api.ctx, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!ops || !count || count > 256) return CUDA_ERROR_INVALID_VALUE;
  for (unsigned i = 0; i < count; ++i)
    if (CUresult error = check_op(ops[i])) return error;
  MemOpBody body;
  body.ops.assign(ops, ops + count);
  return submit(lock, stream, std::move(body));
}

CUresult one(ApiCall& api, CUstream stream, CUstreamBatchMemOpType type, CUdeviceptr address, uint64_t value,
             unsigned flags) {
  CUstreamBatchMemOpParams op{};
  op.waitValue.operation = type;
  op.waitValue.address = address;
  op.waitValue.value64 = value;
  op.waitValue.flags = flags;
  return submit_ops(api, stream, &op, 1);
}

}  // namespace

void execute_mem_op(const MemOpBody& body, const std::shared_ptr<Stream>& stream) {
  for (auto& op : body.ops) {
    const auto& p = op.waitValue;
    switch (op.operation) {
      case CU_STREAM_MEM_OP_WAIT_VALUE_32:
        wait_value<uint32_t>(p.address, p.value, p.flags, stream);
        break;
      case CU_STREAM_MEM_OP_WAIT_VALUE_64:
        wait_value<uint64_t>(p.address, p.value64, p.flags, stream);
        break;
      case CU_STREAM_MEM_OP_WRITE_VALUE_32:
        write_value<uint32_t>(p.address, p.value);
        break;
      case CU_STREAM_MEM_OP_WRITE_VALUE_64:
        write_value<uint64_t>(p.address, p.value64);
        break;
      default:
        break;  // a barrier: operations of a stream run one after the other, each behind the driver lock
    }
  }
}

}  // namespace loretoken::sim

using namespace loretoken::sim;

extern "C" {

CUresult cuStreamWaitValue32_v2(CUstream stream, CUdeviceptr address, cuuint32_t value, unsigned int flags) {
  SIM_API(cuStreamWaitValue32_v2, kContext);
  return one(api, stream, CU_STREAM_MEM_OP_WAIT_VALUE_32, address, value, flags);
}

CUresult cuStreamWaitValue64_v2(CUstream stream, CUdeviceptr address, cuuint64_t value, unsigned int flags) {
  SIM_API(cuStreamWaitValue64_v2, kContext);
  return one(api, stream, CU_STREAM_MEM_OP_WAIT_VALUE_64, address, value, flags);
}

CUresult cuStreamWriteValue32_v2(CUstream stream, CUdeviceptr address, cuuint32_t value, unsigned int flags) {
  SIM_API(cuStreamWriteValue32_v2, kContext);
  return one(api, stream, CU_STREAM_MEM_OP_WRITE_VALUE_32, address, value, flags);
}

CUresult cuStreamWriteValue64_v2(CUstream stream, CUdeviceptr address, cuuint64_t value, unsigned int flags) {
  SIM_API(cuStreamWriteValue64_v2, kContext);
  return one(api, stream, CU_STREAM_MEM_OP_WRITE_VALUE_64, address, value, flags);
}

CUresult cuStreamBatchMemOp_v2(CUstream stream, unsigned int count, CUstreamBatchMemOpParams* ops, unsigned int flags) {
  SIM_API(cuStreamBatchMemOp_v2, kContext);
  if (flags) return CUDA_ERROR_INVALID_VALUE;
  return submit_ops(api, stream, ops, count);
}

CUresult cuStreamWaitValue32(CUstream stream, CUdeviceptr address, cuuint32_t value, unsigned int flags) {
  return cuStreamWaitValue32_v2(stream, address, value, flags);
}
CUresult cuStreamWaitValue64(CUstream stream, CUdeviceptr address, cuuint64_t value, unsigned int flags) {
  return cuStreamWaitValue64_v2(stream, address, value, flags);
}
CUresult cuStreamWriteValue32(CUstream stream, CUdeviceptr address, cuuint32_t value, unsigned int flags) {
  return cuStreamWriteValue32_v2(stream, address, value, flags);
}
CUresult cuStreamWriteValue64(CUstream stream, CUdeviceptr address, cuuint64_t value, unsigned int flags) {
  return cuStreamWriteValue64_v2(stream, address, value, flags);
}
CUresult cuStreamBatchMemOp(CUstream stream, unsigned int count, CUstreamBatchMemOpParams* ops, unsigned int flags) {
  return cuStreamBatchMemOp_v2(stream, count, ops, flags);
}

}  // extern "C"
