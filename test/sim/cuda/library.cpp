// Context-independent libraries and kernels.
#include <cstring>

#include "api.h"
#include "module.h"

using namespace loretoken::sim;

namespace {

CUresult add(CUlibrary* out, std::shared_ptr<Image> image, CUresult broken) {
  Lock lock(state().mutex);
  auto library = std::make_shared<Library>();
  library->image = std::move(image);
  library->broken = broken;
  state().libraries.add(library);
  *out = as_handle<CUlibrary>(library.get());
  if (broken) return CUDA_SUCCESS;
  const LtHostModule& table = library->image->table();
  for (uint32_t i = 0; i < table.kernel_count; ++i) {
    auto kernel = std::make_shared<Kernel>();
    kernel->library = library.get();
    kernel->kernel = &table.kernels[i];
    library->kernels[table.kernels[i].name] = kernel;
    state().kernels.add(kernel);
  }
  return CUDA_SUCCESS;
}

}  // namespace

extern "C" {

CUresult cuLibraryLoadData(CUlibrary* out, const void* code, CUjit_option*, void**, unsigned int, CUlibraryOption*,
                           void**, unsigned int) {
  SIM_API(cuLibraryLoadData, kInit);
  if (!out || !code) return CUDA_ERROR_INVALID_VALUE;
  CUresult error = CUDA_SUCCESS;
  auto image = open_image(code, error);
  // Images are looked at when they are first used.
  return image || error == CUDA_ERROR_INVALID_IMAGE ? add(out, std::move(image), error) : error;
}

CUresult cuLibraryLoadFromFile(CUlibrary* out, const char* path, CUjit_option*, void**, unsigned int, CUlibraryOption*,
                               void**, unsigned int) {
  SIM_API(cuLibraryLoadFromFile, kInit);
  if (!out || !path) return CUDA_ERROR_INVALID_VALUE;
  CUresult error = CUDA_SUCCESS;
  auto image = open_file(path, error);
  return image ? add(out, std::move(image), error) : error;
}

CUresult cuLibraryUnload(CUlibrary handle) {
  SIM_API_LOCKED(cuLibraryUnload, kInit);
  State& s = state();
  auto library = s.libraries.find(handle);
  if (!library) return CUDA_ERROR_INVALID_HANDLE;
  for (auto& [key, ctx] : s.contexts.all()) {
    const auto keep = ctx;
    wait(lock, pending_of(*keep));
  }
  for (auto& [ctx, module] : library->modules) {
    for (auto& [name, function] : module->functions) s.functions.remove(function.get());
    s.modules.remove(module.get());
  }
  for (auto& [name, kernel] : library->kernels) s.kernels.remove(kernel.get());
  s.libraries.remove(handle);
  lock.unlock();
  return CUDA_SUCCESS;
}

CUresult cuLibraryGetKernel(CUkernel* out, CUlibrary handle, const char* name) {
  SIM_API_LOCKED(cuLibraryGetKernel, kInit);
  if (!out || !name) return CUDA_ERROR_INVALID_VALUE;
  auto library = state().libraries.find(handle);
  if (!library) return CUDA_ERROR_INVALID_HANDLE;
  if (library->broken) return library->broken;
  auto it = library->kernels.find(name);
  if (it == library->kernels.end()) return CUDA_ERROR_NOT_FOUND;
  *out = as_handle<CUkernel>(it->second.get());
  return CUDA_SUCCESS;
}

CUresult cuLibraryGetKernelCount(unsigned int* count, CUlibrary handle) {
  SIM_API_LOCKED(cuLibraryGetKernelCount, kInit);
  auto library = state().libraries.find(handle);
  if (!count) return CUDA_ERROR_INVALID_VALUE;
  if (!library) return CUDA_ERROR_INVALID_HANDLE;
  if (library->broken) return library->broken;
  *count = static_cast<unsigned>(library->kernels.size());
  return CUDA_SUCCESS;
}

CUresult cuLibraryEnumerateKernels(CUkernel* out, unsigned int count, CUlibrary handle) {
  SIM_API_LOCKED(cuLibraryEnumerateKernels, kInit);
  auto library = state().libraries.find(handle);
  if (!out || !count) return CUDA_ERROR_INVALID_VALUE;
  if (!library) return CUDA_ERROR_INVALID_HANDLE;
  if (library->broken) return library->broken;
  unsigned i = 0;
  for (auto& [name, kernel] : library->kernels)
    if (i < count) out[i++] = as_handle<CUkernel>(kernel.get());
  return CUDA_SUCCESS;
}

CUresult cuLibraryGetModule(CUmodule* out, CUlibrary handle) {
  SIM_API_LOCKED(cuLibraryGetModule, kContext);
  auto library = state().libraries.find(handle);
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  if (!library) return CUDA_ERROR_INVALID_HANDLE;
  if (library->broken) return library->broken;
  *out = as_handle<CUmodule>(library_module(*library, api.ctx).get());
  return CUDA_SUCCESS;
}

CUresult cuLibraryGetGlobal(CUdeviceptr* address, size_t* bytes, CUlibrary handle, const char* name) {
  SIM_API_LOCKED(cuLibraryGetGlobal, kContext);
  if (!name || (!address && !bytes)) return CUDA_ERROR_INVALID_VALUE;
  auto library = state().libraries.find(handle);
  if (!library) return CUDA_ERROR_INVALID_HANDLE;
  if (library->broken) return library->broken;
  library_module(*library, api.ctx);
  const LtHostModule& table = library->image->table();
  for (uint32_t i = 0; i < table.global_count; ++i) {
    if (std::strcmp(table.globals[i].name, name) != 0) continue;
    if (address) *address = reinterpret_cast<CUdeviceptr>(table.globals[i].address);
    if (bytes) *bytes = table.globals[i].size;
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_NOT_FOUND;
}

CUresult cuLibraryGetManaged(CUdeviceptr*, size_t*, CUlibrary handle, const char* name) {
  SIM_API_LOCKED(cuLibraryGetManaged, kContext);
  if (!name) return CUDA_ERROR_INVALID_VALUE;
  return state().libraries.find(handle) ? CUDA_ERROR_NOT_FOUND : CUDA_ERROR_INVALID_HANDLE;
}

CUresult cuKernelGetFunction(CUfunction* out, CUkernel handle) {
  SIM_API_LOCKED(cuKernelGetFunction, kContext);
  auto kernel = state().kernels.find(handle);
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  if (!kernel) return CUDA_ERROR_INVALID_HANDLE;
  *out = as_handle<CUfunction>(resolve_function(reinterpret_cast<CUfunction>(handle), api.ctx).get());
  return CUDA_SUCCESS;
}

CUresult cuKernelGetLibrary(CUlibrary* out, CUkernel handle) {
  SIM_API_LOCKED(cuKernelGetLibrary, kInit);
  auto kernel = state().kernels.find(handle);
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  if (!kernel) return CUDA_ERROR_INVALID_HANDLE;
  *out = as_handle<CUlibrary>(kernel->library);
  return CUDA_SUCCESS;
}

}  // extern "C"
