// Modules and their functions.
#include "module.h"

#include <cstring>

#include "api.h"
#include "capture.h"

namespace loretoken::sim {

size_t Function::param_bytes() const {
  if (!kernel->param_count) return 0;
  const LtHostParam& last = kernel->params[kernel->param_count - 1];
  return last.offset + last.size;
}

std::shared_ptr<Module> make_module(const std::shared_ptr<Context>& ctx, std::shared_ptr<Image> image) {
  auto module = std::make_shared<Module>();
  module->ctx = ctx;
  module->image = std::move(image);
  const LtHostModule& table = module->image->table();
  for (uint32_t i = 0; i < table.kernel_count; ++i) {
    auto function = std::make_shared<Function>();
    function->module = module.get();
    function->image = module->image;
    function->ctx = ctx;
    function->kernel = &table.kernels[i];
    module->functions[table.kernels[i].name] = function;
    state().functions.add(function);
  }
  state().modules.add(module);
  return module;
}

std::shared_ptr<Module> library_module(Library& library, const std::shared_ptr<Context>& ctx) {
  auto& module = library.modules[ctx.get()];
  if (!module) {
    module = make_module(ctx, library.image);
    module->library = &library;
  }
  return module;
}

std::shared_ptr<Function> resolve_function(CUfunction handle, const std::shared_ptr<Context>& ctx) {
  if (auto function = state().functions.find(handle)) return function;
  auto kernel = state().kernels.find(handle);
  if (!kernel) return nullptr;
  return library_module(*kernel->library, ctx)->functions[kernel->kernel->name];
}

const LtHostGlobal* find_global(uintptr_t address, std::shared_ptr<Context>* owner) {
  for (auto& [key, module] : state().modules.all()) {
    const LtHostModule& table = module->image->table();
    for (uint32_t i = 0; i < table.global_count; ++i) {
      const auto base = reinterpret_cast<uintptr_t>(table.globals[i].address);
      if (address < base || address - base >= table.globals[i].size) continue;
      if (owner) *owner = module->ctx;
      return &table.globals[i];
    }
  }
  return nullptr;
}

}  // namespace loretoken::sim

using namespace loretoken::sim;

namespace {

CUresult add(ApiCall& api, CUmodule* out, std::shared_ptr<Image> image) {
  Lock lock(state().mutex);
  *out = as_handle<CUmodule>(make_module(api.ctx, std::move(image)).get());
  return CUDA_SUCCESS;
}

CUresult load(ApiCall& api, CUmodule* out, const void* data) {
  if (!out || !data) return CUDA_ERROR_INVALID_VALUE;
  CUresult error = CUDA_SUCCESS;
  auto image = open_image(data, error);
  return image ? add(api, out, std::move(image)) : error;
}

}  // namespace

extern "C" {

CUresult cuModuleLoad(CUmodule* out, const char* path) {
  SIM_API(cuModuleLoad, kContext);
  if (!out || !path) return CUDA_ERROR_INVALID_VALUE;
  CUresult error = CUDA_SUCCESS;
  auto image = open_file(path, error);
  return image ? add(api, out, std::move(image)) : error;
}

CUresult cuModuleLoadData(CUmodule* out, const void* image) {
  SIM_API(cuModuleLoadData, kContext);
  return load(api, out, image);
}

CUresult cuModuleLoadDataEx(CUmodule* out, const void* image, unsigned int, CUjit_option*, void**) {
  SIM_API(cuModuleLoadDataEx, kContext);
  return load(api, out, image);
}

CUresult cuModuleLoadFatBinary(CUmodule* out, const void* image) {
  SIM_API(cuModuleLoadFatBinary, kContext);
  return load(api, out, image);
}

CUresult cuModuleUnload(CUmodule handle) {
  SIM_API_LOCKED(cuModuleUnload, kContext);
  auto module = state().modules.find(handle);
  if (!module || module->library) return CUDA_ERROR_INVALID_HANDLE;
  if (CUresult error = refuse_unsafe_call()) return error;
  wait(lock, pending_of(*module->ctx));
  for (auto& [name, function] : module->functions) state().functions.remove(function.get());
  state().modules.remove(handle);
  lock.unlock();  // closing the image runs its destructors
  return CUDA_SUCCESS;
}

CUresult cuModuleGetLoadingMode(CUmoduleLoadingMode* mode) {
  SIM_API(cuModuleGetLoadingMode, kInit);
  if (!mode) return CUDA_ERROR_INVALID_VALUE;
  *mode = CU_MODULE_LAZY_LOADING;
  return CUDA_SUCCESS;
}

CUresult cuModuleGetFunction(CUfunction* out, CUmodule handle, const char* name) {
  SIM_API_LOCKED(cuModuleGetFunction, kContext);
  if (!out || !name) return CUDA_ERROR_INVALID_VALUE;
  auto module = state().modules.find(handle);
  if (!module) return CUDA_ERROR_INVALID_HANDLE;
  auto it = module->functions.find(name);
  if (it == module->functions.end()) return CUDA_ERROR_NOT_FOUND;
  *out = as_handle<CUfunction>(it->second.get());
  return CUDA_SUCCESS;
}

CUresult cuModuleGetFunctionCount(unsigned int* count, CUmodule handle) {
  SIM_API_LOCKED(cuModuleGetFunctionCount, kContext);
  auto module = state().modules.find(handle);
  if (!count) return CUDA_ERROR_INVALID_VALUE;
  if (!module) return CUDA_ERROR_INVALID_HANDLE;
  *count = static_cast<unsigned>(module->functions.size());
  return CUDA_SUCCESS;
}

CUresult cuModuleEnumerateFunctions(CUfunction* out, unsigned int count, CUmodule handle) {
  SIM_API_LOCKED(cuModuleEnumerateFunctions, kContext);
  auto module = state().modules.find(handle);
  if (!out || !count) return CUDA_ERROR_INVALID_VALUE;
  if (!module) return CUDA_ERROR_INVALID_HANDLE;
  unsigned i = 0;
  for (auto& [name, function] : module->functions)
    if (i < count) out[i++] = as_handle<CUfunction>(function.get());
  return CUDA_SUCCESS;
}

CUresult cuModuleGetGlobal_v2(CUdeviceptr* address, size_t* bytes, CUmodule handle, const char* name) {
  SIM_API_LOCKED(cuModuleGetGlobal_v2, kContext);
  if (!name || (!address && !bytes)) return CUDA_ERROR_INVALID_VALUE;
  auto module = state().modules.find(handle);
  if (!module) return CUDA_ERROR_INVALID_HANDLE;
  const LtHostModule& table = module->image->table();
  for (uint32_t i = 0; i < table.global_count; ++i) {
    if (std::strcmp(table.globals[i].name, name) != 0) continue;
    if (address) *address = reinterpret_cast<CUdeviceptr>(table.globals[i].address);
    if (bytes) *bytes = table.globals[i].size;
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_NOT_FOUND;
}

}  // extern "C"
