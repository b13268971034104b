// Contexts: explicit and primary ones, the stack of current contexts, limits.
#include <algorithm>
#include <utility>

#include "api.h"
#include "board.h"
#include "capture.h"
#include "graph_memory.h"

namespace loretoken::sim {

void free_context_memory(const Context& ctx);  // memory.cpp

namespace {

std::shared_ptr<Context> make_context(int device, unsigned flags) {
  State& s = state();
  auto ctx = std::make_shared<Context>();
  ctx->device = device;
  ctx->flags = flags;
  ctx->id = s.next_id++;
  ctx->legacy = make_stream(ctx, 0, 0);
  ctx->legacy->legacy = true;
  ctx->limits = {{CU_LIMIT_STACK_SIZE, 1024},
                 {CU_LIMIT_PRINTF_FIFO_SIZE, 8650752},
                 {CU_LIMIT_MALLOC_HEAP_SIZE, 8u << 20},
                 {CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT, 2048},
                 {CU_LIMIT_MAX_L2_FETCH_GRANULARITY, 64},
                 {CU_LIMIT_PERSISTING_L2_CACHE_SIZE, 11796480},
                 {CU_LIMIT_SHMEM_SIZE, 232448},
                 {CU_LIMIT_CIG_ENABLED, 0}};
  s.contexts.add(ctx);
  board::publish_context(device, true);
  return ctx;
}

// Waits for the context's work, then takes everything that belongs to it.
void destroy(Lock& lock, const std::shared_ptr<Context>& ctx) {
  ctx->destroyed = true;
  wait(lock, pending_of(*ctx));
  free_context_memory(*ctx);
  State& s = state();
  for (auto& stream : ctx->streams) s.streams.remove(stream.get());
  ctx->streams.clear();
  ctx->per_thread.clear();
  ctx->legacy.reset();
  s.contexts.remove(ctx.get());
  bool others = false;
  for (auto& [key, other] : s.contexts.all()) others = others || other->device == ctx->device;
  if (!others) board::publish_context(ctx->device, false);
}

std::shared_ptr<Context> context_of(CUcontext handle) {
  return state().contexts.find(handle);
}

bool valid_flags(unsigned flags) {
  return (flags & CU_CTX_SCHED_MASK) <= 4 && (flags & CU_CTX_SCHED_MASK) != 3 && flags <= CU_CTX_FLAGS_MASK;
}

}  // namespace

}  // namespace loretoken::sim

using namespace loretoken::sim;

extern "C" {

CUresult cuDevicePrimaryCtxRetain(CUcontext* out, CUdevice ordinal) {
  SIM_API_LOCKED(cuDevicePrimaryCtxRetain, kInit);
  Device* device = find_device(ordinal);
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  if (!device) return CUDA_ERROR_INVALID_DEVICE;
  if (!device->primary) {
    device->primary = make_context(ordinal, device->primary_flags);
    device->primary->primary = true;
  }
  ++device->primary_refs;
  *out = as_handle<CUcontext>(device->primary.get());
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice ordinal) {
  SIM_API_LOCKED(cuDevicePrimaryCtxRelease_v2, kInit);
  Device* device = find_device(ordinal);
  if (!device) return CUDA_ERROR_INVALID_DEVICE;
  if (!device->primary_refs) return CUDA_ERROR_INVALID_CONTEXT;
  if (--device->primary_refs == 0 && device->primary) destroy(lock, std::exchange(device->primary, nullptr));
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice ordinal) {
  SIM_API_LOCKED(cuDevicePrimaryCtxReset_v2, kInit);
  Device* device = find_device(ordinal);
  if (!device) return CUDA_ERROR_INVALID_DEVICE;
  // Who retained the context must still release it.
  if (device->primary) destroy(lock, std::exchange(device->primary, nullptr));
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxGetState(CUdevice ordinal, unsigned int* flags, int* active) {
  SIM_API_LOCKED(cuDevicePrimaryCtxGetState, kInit);
  Device* device = find_device(ordinal);
  if (!flags || !active) return CUDA_ERROR_INVALID_VALUE;
  if (!device) return CUDA_ERROR_INVALID_DEVICE;
  *flags = device->primary ? device->primary->flags : device->primary_flags;
  *active = device->primary ? 1 : 0;
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice ordinal, unsigned int flags) {
  SIM_API_LOCKED(cuDevicePrimaryCtxSetFlags_v2, kInit);
  Device* device = find_device(ordinal);
  if (!device) return CUDA_ERROR_INVALID_DEVICE;
  if (!valid_flags(flags)) return CUDA_ERROR_INVALID_VALUE;
  device->primary_flags = flags;
  if (device->primary) device->primary->flags = flags;
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease(CUdevice device) {
  return cuDevicePrimaryCtxRelease_v2(device);
}
CUresult cuDevicePrimaryCtxReset(CUdevice device) {
  return cuDevicePrimaryCtxReset_v2(device);
}
CUresult cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned flags) {
  return cuDevicePrimaryCtxSetFlags_v2(device, flags);
}

CUresult cuCtxCreate_v2(CUcontext* out, unsigned int flags, CUdevice ordinal) {
  SIM_API_LOCKED(cuCtxCreate_v2, kInit);
  if (!out || !valid_flags(flags)) return CUDA_ERROR_INVALID_VALUE;
  if (!find_device(ordinal)) return CUDA_ERROR_INVALID_DEVICE;
  auto ctx = make_context(ordinal, flags);
  context_stack().push_back(ctx);
  *out = as_handle<CUcontext>(ctx.get());
  return CUDA_SUCCESS;
}

CUresult cuCtxCreate_v3(CUcontext* out, CUexecAffinityParam*, int count, unsigned int flags, CUdevice device) {
  if (count) return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
  return cuCtxCreate_v2(out, flags, device);
}

CUresult cuCtxCreate_v4(CUcontext* out, CUctxCreateParams* params, unsigned int flags, CUdevice device) {
  if (params && params->numExecAffinityParams) return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
  return cuCtxCreate_v2(out, flags, device);
}

CUresult cuCtxDestroy_v2(CUcontext handle) {
  SIM_API_LOCKED(cuCtxDestroy_v2, kInit);
  if (!handle) return CUDA_ERROR_INVALID_VALUE;
  auto ctx = context_of(handle);
  if (!ctx || ctx->primary) return CUDA_ERROR_INVALID_CONTEXT;
  destroy(lock, ctx);
  auto& stack = context_stack();
  if (!stack.empty() && stack.back() == ctx) stack.pop_back();
  return CUDA_SUCCESS;
}

CUresult cuCtxDestroy(CUcontext handle) {
  return cuCtxDestroy_v2(handle);
}

CUresult cuCtxPushCurrent_v2(CUcontext handle) {
  SIM_API_LOCKED(cuCtxPushCurrent_v2, kInit);
  if (!handle) return CUDA_ERROR_INVALID_VALUE;
  auto ctx = context_of(handle);
  if (!ctx) return CUDA_ERROR_INVALID_CONTEXT;
  context_stack().push_back(ctx);
  return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent_v2(CUcontext* out) {
  SIM_API_LOCKED(cuCtxPopCurrent_v2, kInit);
  auto& stack = context_stack();
  if (stack.empty()) return CUDA_ERROR_INVALID_CONTEXT;
  if (out) *out = as_handle<CUcontext>(stack.back().get());
  stack.pop_back();
  return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent(CUcontext ctx) {
  return cuCtxPushCurrent_v2(ctx);
}
CUresult cuCtxPopCurrent(CUcontext* ctx) {
  return cuCtxPopCurrent_v2(ctx);
}

CUresult cuCtxSetCurrent(CUcontext handle) {
  SIM_API_LOCKED(cuCtxSetCurrent, kInit);
  auto& stack = context_stack();
  if (!handle) {
    if (!stack.empty()) stack.pop_back();
    return CUDA_SUCCESS;
  }
  auto ctx = context_of(handle);
  if (!ctx) return CUDA_ERROR_INVALID_CONTEXT;
  if (stack.empty()) {
    stack.push_back(ctx);
  } else {
    stack.back() = ctx;
  }
  return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext* out) {
  SIM_API(cuCtxGetCurrent, kInit);
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  auto& stack = context_stack();
  *out = stack.empty() ? nullptr : as_handle<CUcontext>(stack.back().get());
  return CUDA_SUCCESS;
}

CUresult cuCtxGetDevice(CUdevice* out) {
  SIM_API(cuCtxGetDevice, kCurrent);
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  *out = api.ctx->device;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetDevice_v2(CUdevice* out, CUcontext handle) {
  if (!handle) return cuCtxGetDevice(out);
  SIM_API_LOCKED(cuCtxGetDevice_v2, kInit);
  auto ctx = context_of(handle);
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  if (!ctx) return CUDA_ERROR_INVALID_CONTEXT;
  *out = ctx->device;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetFlags(unsigned int* flags) {
  SIM_API_LOCKED(cuCtxGetFlags, kContext);
  if (!flags) return CUDA_ERROR_INVALID_VALUE;
  *flags = api.ctx->flags | CU_CTX_MAP_HOST;
  return CUDA_SUCCESS;
}

CUresult cuCtxSetFlags(unsigned int flags) {
  SIM_API_LOCKED(cuCtxSetFlags, kContext);
  if (!valid_flags(flags)) return CUDA_ERROR_INVALID_VALUE;
  api.ctx->flags = flags;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetId(CUcontext handle, unsigned long long* id) {
  SIM_API_LOCKED(cuCtxGetId, kInit);
  if (!id) return CUDA_ERROR_INVALID_VALUE;
  auto& stack = context_stack();
  auto ctx = handle ? context_of(handle) : stack.empty() ? nullptr : stack.back();
  if (!ctx) return CUDA_ERROR_CONTEXT_IS_DESTROYED;
  *id = ctx->id;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetApiVersion(CUcontext handle, unsigned int* version) {
  SIM_API_LOCKED(cuCtxGetApiVersion, kInit);
  if (!version) return CUDA_ERROR_INVALID_VALUE;
  if (handle ? !context_of(handle) : context_stack().empty()) return CUDA_ERROR_INVALID_CONTEXT;
  *version = 3020;
  return CUDA_SUCCESS;
}

CUresult cuCtxSynchronize(void) {
  SIM_API_LOCKED(cuCtxSynchronize, kContext);
  if (CUresult error = refuse_captured(*api.ctx)) return error;
  wait(lock, pending_of(*api.ctx));
  for (auto& [key, pool] : state().pools.all())
    if (pool->device == api.ctx->device) pool->heap.trim(pool->threshold);
  sweep_graph_memory();
  return api.ctx->sticky;
}

CUresult cuCtxSynchronize_v2(CUcontext handle) {
  if (!handle) return cuCtxSynchronize();
  SIM_API_LOCKED(cuCtxSynchronize_v2, kInit);
  auto ctx = context_of(handle);
  if (!ctx) return CUDA_ERROR_INVALID_CONTEXT;
  if (CUresult error = refuse_captured(*ctx)) return error;
  wait(lock, pending_of(*ctx));
  return ctx->sticky;
}

}  // extern "C"
