// Queries about functions and kernels, and occupancy.
#include <algorithm>

#include "api.h"
#include "module.h"

using namespace loretoken::sim;

namespace {

constexpr int kMaxDynamicShared = 232448, kSharedPerSm = 233472, kThreadsPerSm = 2048, kBlocksPerSm = 32;
constexpr int kSms = 132;

CUresult get(int* value, CUfunction_attribute attribute, const LtHostKernel& kernel, int dynamic_shared) {
  if (!value || attribute < 0 || attribute >= CU_FUNC_ATTRIBUTE_MAX) return CUDA_ERROR_INVALID_VALUE;
  switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
      *value = 1024;
      break;
    case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
      *value = static_cast<int>(kernel.static_shared_bytes);
      break;
    case CU_FUNC_ATTRIBUTE_NUM_REGS:
      *value = 32;
      break;
    case CU_FUNC_ATTRIBUTE_PTX_VERSION:
    case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
      *value = 90;
      break;
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
      *value = dynamic_shared;
      break;
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
      *value = -1;
      break;
    default:
      *value = 0;
  }
  return CUDA_SUCCESS;
}

CUresult set(CUfunction_attribute attribute, int value, const LtHostKernel& kernel, int& dynamic_shared) {
  switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
      if (value < 0 || value + static_cast<int>(kernel.static_shared_bytes) > kMaxDynamicShared)
        return CUDA_ERROR_INVALID_VALUE;
      dynamic_shared = value;
      return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
      return value < -1 || value > 100 ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH:
    case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
    case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
      return CUDA_SUCCESS;
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

CUresult param_info(const LtHostKernel& kernel, size_t index, size_t* offset, size_t* size) {
  if (!offset || index >= kernel.param_count) return CUDA_ERROR_INVALID_VALUE;
  *offset = kernel.params[index].offset;
  if (size) *size = kernel.params[index].size;
  return CUDA_SUCCESS;
}

int active_blocks(const Function& function, int block, size_t dynamic) {
  const int warps = (block + 31) / 32;
  int blocks = std::min(kBlocksPerSm, kThreadsPerSm / (warps * 32));
  const size_t shared = dynamic + function.kernel->static_shared_bytes;
  if (shared > static_cast<size_t>(kMaxDynamicShared)) return 0;
  return std::min<int>(blocks, static_cast<int>(static_cast<size_t>(kSharedPerSm) / (shared + 1024)));
}

}  // namespace

extern "C" {

CUresult cuFuncGetAttribute(int* value, CUfunction_attribute attribute, CUfunction handle) {
  SIM_API_LOCKED(cuFuncGetAttribute, kContext);
  auto function = resolve_function(handle, api.ctx);
  if (!function) return CUDA_ERROR_INVALID_HANDLE;
  return get(value, attribute, *function->kernel, function->max_dynamic_shared);
}

CUresult cuFuncSetAttribute(CUfunction handle, CUfunction_attribute attribute, int value) {
  SIM_API_LOCKED(cuFuncSetAttribute, kContext);
  auto function = resolve_function(handle, api.ctx);
  if (!function) return CUDA_ERROR_INVALID_HANDLE;
  return set(attribute, value, *function->kernel, function->max_dynamic_shared);
}

CUresult cuFuncSetCacheConfig(CUfunction handle, CUfunc_cache) {
  SIM_API_LOCKED(cuFuncSetCacheConfig, kContext);
  return resolve_function(handle, api.ctx) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuFuncSetSharedMemConfig(CUfunction handle, CUsharedconfig) {
  SIM_API_LOCKED(cuFuncSetSharedMemConfig, kContext);
  return resolve_function(handle, api.ctx) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuFuncGetModule(CUmodule* out, CUfunction handle) {
  SIM_API_LOCKED(cuFuncGetModule, kContext);
  auto function = resolve_function(handle, api.ctx);
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  if (!function) return CUDA_ERROR_INVALID_HANDLE;
  *out = as_handle<CUmodule>(function->module);
  return CUDA_SUCCESS;
}

CUresult cuFuncGetName(const char** name, CUfunction handle) {
  SIM_API_LOCKED(cuFuncGetName, kContext);
  auto function = resolve_function(handle, api.ctx);
  if (!name) return CUDA_ERROR_INVALID_VALUE;
  if (!function) return CUDA_ERROR_INVALID_HANDLE;
  *name = function->kernel->name;
  return CUDA_SUCCESS;
}

CUresult cuFuncGetParamInfo(CUfunction handle, size_t index, size_t* offset, size_t* size) {
  SIM_API_LOCKED(cuFuncGetParamInfo, kContext);
  auto function = state().functions.find(handle);  // a CUkernel does not do here
  if (!function) return CUDA_ERROR_INVALID_HANDLE;
  return param_info(*function->kernel, index, offset, size);
}

CUresult cuFuncIsLoaded(CUfunctionLoadingState* loading, CUfunction handle) {
  SIM_API_LOCKED(cuFuncIsLoaded, kContext);
  if (!loading) return CUDA_ERROR_INVALID_VALUE;
  if (!resolve_function(handle, api.ctx)) return CUDA_ERROR_INVALID_HANDLE;
  *loading = CU_FUNCTION_LOADING_STATE_LOADED;
  return CUDA_SUCCESS;
}

CUresult cuFuncLoad(CUfunction handle) {
  SIM_API_LOCKED(cuFuncLoad, kContext);
  return resolve_function(handle, api.ctx) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuKernelGetName(const char** name, CUkernel handle) {
  SIM_API_LOCKED(cuKernelGetName, kInit);
  auto kernel = state().kernels.find(handle);
  if (!name) return CUDA_ERROR_INVALID_VALUE;
  if (!kernel) return CUDA_ERROR_INVALID_HANDLE;
  *name = kernel->kernel->name;
  return CUDA_SUCCESS;
}

CUresult cuKernelGetParamInfo(CUkernel handle, size_t index, size_t* offset, size_t* size) {
  SIM_API_LOCKED(cuKernelGetParamInfo, kInit);
  auto kernel = state().kernels.find(handle);
  if (!kernel) return CUDA_ERROR_INVALID_HANDLE;
  return param_info(*kernel->kernel, index, offset, size);
}

CUresult cuKernelGetAttribute(int* value, CUfunction_attribute attribute, CUkernel handle, CUdevice device) {
  SIM_API_LOCKED(cuKernelGetAttribute, kInit);
  auto kernel = state().kernels.find(handle);
  if (!kernel) return CUDA_ERROR_INVALID_HANDLE;
  if (!find_device(device)) return CUDA_ERROR_INVALID_DEVICE;
  return get(value, attribute, *kernel->kernel, kernel->max_dynamic_shared);
}

CUresult cuKernelSetAttribute(CUfunction_attribute attribute, int value, CUkernel handle, CUdevice device) {
  SIM_API_LOCKED(cuKernelSetAttribute, kInit);
  auto kernel = state().kernels.find(handle);
  if (!kernel) return CUDA_ERROR_INVALID_HANDLE;
  if (!find_device(device)) return CUDA_ERROR_INVALID_DEVICE;
  if (CUresult error = set(attribute, value, *kernel->kernel, kernel->max_dynamic_shared)) return error;
  for (auto& [ctx, module] : kernel->library->modules)
    module->functions[kernel->kernel->name]->max_dynamic_shared = kernel->max_dynamic_shared;
  return CUDA_SUCCESS;
}

CUresult cuKernelSetCacheConfig(CUkernel handle, CUfunc_cache, CUdevice device) {
  SIM_API_LOCKED(cuKernelSetCacheConfig, kInit);
  if (!find_device(device)) return CUDA_ERROR_INVALID_DEVICE;
  return state().kernels.find(handle) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, CUfunction handle, int block, size_t dynamic,
                                                              unsigned int flags) {
  SIM_API_LOCKED(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags, kContext);
  auto function = resolve_function(handle, api.ctx);
  if (!function) return CUDA_ERROR_INVALID_HANDLE;
  if (!blocks || block <= 0 || block > 1024 || flags > 1) return CUDA_ERROR_INVALID_VALUE;
  *blocks = active_blocks(*function, block, dynamic);
  return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction function, int block, size_t dynamic) {
  return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(blocks, function, block, dynamic, 0);
}

CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int* grid, int* block, CUfunction handle,
                                                   CUoccupancyB2DSize dynamic_of, size_t dynamic, int limit,
                                                   unsigned int flags) {
  SIM_API_LOCKED(cuOccupancyMaxPotentialBlockSizeWithFlags, kContext);
  auto function = resolve_function(handle, api.ctx);
  if (!function) return CUDA_ERROR_INVALID_HANDLE;
  if (!grid || !block || limit < 0 || flags > 1) return CUDA_ERROR_INVALID_VALUE;
  lock.unlock();
  *block = limit ? std::min(limit, 1024) : 1024;
  if (dynamic_of) dynamic = dynamic_of(*block);
  *grid = kSms * std::max(1, active_blocks(*function, *block, dynamic));
  return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxPotentialBlockSize(int* grid, int* block, CUfunction function, CUoccupancyB2DSize dynamic_of,
                                          size_t dynamic, int limit) {
  return cuOccupancyMaxPotentialBlockSizeWithFlags(grid, block, function, dynamic_of, dynamic, limit, 0);
}

CUresult cuOccupancyAvailableDynamicSMemPerBlock(size_t* bytes, CUfunction handle, int blocks, int block) {
  SIM_API_LOCKED(cuOccupancyAvailableDynamicSMemPerBlock, kContext);
  if (!bytes || blocks <= 0 || block <= 0) return CUDA_ERROR_INVALID_VALUE;
  if (!resolve_function(handle, api.ctx)) return CUDA_ERROR_INVALID_HANDLE;
  const int per_block = kSharedPerSm / blocks - 1024;
  *bytes = static_cast<size_t>(std::max(0, std::min(per_block, kMaxDynamicShared)));
  return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxPotentialClusterSize(int* size, CUfunction handle, const CUlaunchConfig* config) {
  SIM_API_LOCKED(cuOccupancyMaxPotentialClusterSize, kContext);
  if (!size || !config) return CUDA_ERROR_INVALID_VALUE;
  if (!resolve_function(handle, api.ctx)) return CUDA_ERROR_INVALID_HANDLE;
  *size = 8;
  return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxActiveClusters(int* count, CUfunction handle, const CUlaunchConfig* config) {
  SIM_API_LOCKED(cuOccupancyMaxActiveClusters, kContext);
  if (!count || !config) return CUDA_ERROR_INVALID_VALUE;
  if (!resolve_function(handle, api.ctx)) return CUDA_ERROR_INVALID_HANDLE;
  *count = kSms / 8;
  return CUDA_SUCCESS;
}

}  // extern "C"
