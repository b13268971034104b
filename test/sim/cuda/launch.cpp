// Kernel launches.
#include <cstring>

#include "api.h"
#include "capture.h"
#include "graph.h"
#include "module.h"

namespace loretoken::sim {

namespace {

constexpr size_t kMaxParamBytes = 32764;

// From `kernelParams` (a pointer per parameter) or `extra` (one packed buffer).
CUresult pack_params(const LtHostKernel& kernel, size_t bytes, void** params, void** extra,
                     std::vector<uint64_t>& out) {
  if (bytes > kMaxParamBytes || (params && extra)) return CUDA_ERROR_INVALID_VALUE;
  out.assign((bytes + 7) / 8, 0);
  char* packed = reinterpret_cast<char*>(out.data());
  if (!kernel.param_count) return CUDA_SUCCESS;
  if (params) {
    for (uint32_t i = 0; i < kernel.param_count; ++i) {
      if (!params[i]) return CUDA_ERROR_INVALID_VALUE;
      std::memcpy(packed + kernel.params[i].offset, params[i], kernel.params[i].size);
    }
    return CUDA_SUCCESS;
  }
  if (!extra) return CUDA_ERROR_INVALID_VALUE;
  const void* buffer = nullptr;
  size_t size = 0;
  bool has_size = false;
  for (; *extra != CU_LAUNCH_PARAM_END; extra += 2) {
    if (*extra == CU_LAUNCH_PARAM_BUFFER_POINTER) {
      buffer = extra[1];
    } else if (*extra == CU_LAUNCH_PARAM_BUFFER_SIZE) {
      size = *static_cast<size_t*>(extra[1]);
      has_size = true;
    } else {
      return CUDA_ERROR_INVALID_VALUE;
    }
  }
  if (!buffer || !has_size) return CUDA_ERROR_INVALID_VALUE;
  // A short buffer is taken: the driver leaves the rest to chance. A structure's padding may follow the last parameter.
  if (size > round_up(bytes, 8)) return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
  std::memcpy(packed, buffer, std::min(size, bytes));
  return CUDA_SUCCESS;
}

}  // namespace

CUresult kernel_body(const CUDA_KERNEL_NODE_PARAMS_v2& p, const std::shared_ptr<Context>& ctx, KernelBody& body) {
  const auto handle = p.func ? p.func : reinterpret_cast<CUfunction>(p.kern);
  body.function = resolve_function(handle, ctx);
  if (!body.function) return CUDA_ERROR_INVALID_HANDLE;
  if (state().kernels.find(handle)) body.kernel = reinterpret_cast<CUkernel>(handle);
  const unsigned grid[3] = {p.gridDimX, p.gridDimY, p.gridDimZ};
  const unsigned block[3] = {p.blockDimX, p.blockDimY, p.blockDimZ};
  if (!grid[0] || !grid[1] || !grid[2] || !block[0] || !block[1] || !block[2]) return CUDA_ERROR_INVALID_VALUE;
  if (grid[0] > 2147483647u || grid[1] > 65535 || grid[2] > 65535) return CUDA_ERROR_INVALID_VALUE;
  if (block[0] > 1024 || block[1] > 1024 || block[2] > 64) return CUDA_ERROR_INVALID_VALUE;
  if (static_cast<uint64_t>(block[0]) * block[1] * block[2] > 1024) return CUDA_ERROR_INVALID_VALUE;
  if (p.sharedMemBytes > static_cast<unsigned>(body.function->max_dynamic_shared)) return CUDA_ERROR_INVALID_VALUE;
  std::memcpy(body.grid, grid, sizeof grid);
  std::memcpy(body.block, block, sizeof block);
  body.shared = p.sharedMemBytes;
  return pack_params(*body.function->kernel, body.function->param_bytes(), p.kernelParams, p.extra, body.params);
}

void execute_kernel(const KernelBody& body) {
  const LtHostKernel& kernel = *body.function->kernel;
  // The kernel gets a copy of its own: a node's parameters must survive what it does to them. The copies belong to the
  // thread, because a fault leaves this frame without unwinding.
  thread_local std::vector<uint64_t> packed;
  thread_local std::vector<void*> params;
  packed = body.params;
  params.resize(kernel.param_count);
  for (uint32_t i = 0; i < kernel.param_count; ++i)
    params[i] = reinterpret_cast<char*>(packed.data()) + kernel.params[i].offset;
  const LtHostLaunch launch{{body.grid[0], body.grid[1], body.grid[2]},
                            {body.block[0], body.block[1], body.block[2]},
                            body.shared,
                            params.data()};
  kernel.run(&launch);
}

}  // namespace loretoken::sim

using namespace loretoken::sim;

namespace {

CUresult launch(ApiCall& api, const CUDA_KERNEL_NODE_PARAMS_v2& params, CUstream handle) {
  Lock lock(state().mutex);
  auto stream = find_stream(*api.ctx, handle);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  KernelBody body;
  if (CUresult error = kernel_body(params, stream->ctx, body)) return error;
  if (body.function->ctx != stream->ctx) return CUDA_ERROR_INVALID_HANDLE;
  return submit(lock, stream, std::move(body));
}

// All blocks of a cooperative launch must be resident at once.
CUresult check_cooperative(uint64_t blocks, uint64_t threads) {
  const bool fits = !threads || blocks <= 132 * std::min<uint64_t>(32, 2048 / threads);
  return fits ? CUDA_SUCCESS : CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE;
}

}  // namespace

extern "C" {

CUresult cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                        unsigned shared, CUstream stream, void** params, void** extra) {
  SIM_API(cuLaunchKernel, kContext);
  return launch(api, {f, gx, gy, gz, bx, by, bz, shared, params, extra, nullptr, nullptr}, stream);
}

CUresult cuLaunchKernelEx(const CUlaunchConfig* c, CUfunction f, void** params, void** extra) {
  SIM_API(cuLaunchKernelEx, kContext);
  if (!c || (c->numAttrs && !c->attrs)) return CUDA_ERROR_INVALID_VALUE;
  for (unsigned i = 0; i < c->numAttrs; ++i) {
    if (c->attrs[i].id != CU_LAUNCH_ATTRIBUTE_COOPERATIVE || !c->attrs[i].value.cooperative) continue;
    const uint64_t blocks = static_cast<uint64_t>(c->gridDimX) * c->gridDimY * c->gridDimZ;
    if (CUresult error = check_cooperative(blocks, static_cast<uint64_t>(c->blockDimX) * c->blockDimY * c->blockDimZ))
      return error;
  }
  return launch(api,
                {f, c->gridDimX, c->gridDimY, c->gridDimZ, c->blockDimX, c->blockDimY, c->blockDimZ, c->sharedMemBytes,
                 params, extra, nullptr, nullptr},
                c->hStream);
}

CUresult cuLaunchCooperativeKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                                   unsigned bz, unsigned shared, CUstream stream, void** params) {
  SIM_API(cuLaunchCooperativeKernel, kContext);
  if (CUresult error = check_cooperative(static_cast<uint64_t>(gx) * gy * gz, static_cast<uint64_t>(bx) * by * bz))
    return error;
  return launch(api, {f, gx, gy, gz, bx, by, bz, shared, params, nullptr, nullptr, nullptr}, stream);
}

}  // extern "C"
