// Kernel launches.
#include "hooks/operation.h"

namespace loretoken::hooks {
namespace {

CUresult launch_on(CUfunction function, CUstream stream, bool per_thread, void** params, void** extra,
                   DriverCall call) {
  if (nothing_ours() || function == nullptr) return call();
  ReachCore& core = reach_core();
  return core.launch(core.functions.find(function), params, extra, streams().slot_of(stream, per_thread), call);
}

}  // namespace

CUresult cuLaunchKernel(CUfunction function, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z,
                        unsigned int block_x, unsigned int block_y, unsigned int block_z, unsigned int shared_bytes,
                        CUstream stream, void** params, void** extra, bool per_thread) {
  return launch_on(function, stream, per_thread, params, extra, [&] {
    return LORETOKEN_REAL_PT(cuLaunchKernel, cuLaunchKernel_ptsz, per_thread)(
        function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes, stream, params, extra);
  });
}

CUresult cuLaunchKernelEx(const CUlaunchConfig* config, CUfunction function, void** params, void** extra,
                          bool per_thread) {
  const auto call = [&] {
    return LORETOKEN_REAL_PT(cuLaunchKernelEx, cuLaunchKernelEx_ptsz, per_thread)(config, function, params, extra);
  };
  return config == nullptr ? call() : launch_on(function, config->hStream, per_thread, params, extra, call);
}

CUresult cuLaunchCooperativeKernel(CUfunction function, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z,
                                   unsigned int block_x, unsigned int block_y, unsigned int block_z,
                                   unsigned int shared_bytes, CUstream stream, void** params, bool per_thread) {
  return launch_on(function, stream, per_thread, params, nullptr, [&] {
    return LORETOKEN_REAL_PT(cuLaunchCooperativeKernel, cuLaunchCooperativeKernel_ptsz, per_thread)(
        function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes, stream, params);
  });
}

CUresult cuModuleUnload(CUmodule module) {
  if (!nothing_ours()) reach_core().functions.module_unloaded(module);
  return driver().cuModuleUnload(module);
}

CUresult cuLibraryUnload(CUlibrary library) {
  if (!nothing_ours()) reach_core().functions.library_unloaded(library);
  return driver().cuLibraryUnload(library);
}

}  // namespace loretoken::hooks
