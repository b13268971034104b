#include "cuda_api.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>

namespace loretoken::train {

namespace {

std::vector<char> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!bytes.empty()) bytes.push_back('\0');
  return bytes;
}

CUresult load(CUmodule* module, const std::vector<char>& image) {
  static const auto function = reinterpret_cast<decltype(&cuModuleLoadData)>(driver_symbol("cuModuleLoadData"));
  return function(module, image.data());
}

// Also in the middle of a failure: a driver without cuGetErrorName gives the number.
std::string text_of(CUresult result) {
  using NameOf = decltype(&cuGetErrorName);
  static const auto name_of = []() -> NameOf {
    try {
      return reinterpret_cast<NameOf>(driver_symbol("cuGetErrorName"));
    } catch (const Error&) {
      return nullptr;
    }
  }();
  const char* name = nullptr;
  if (name_of) name_of(result, &name);
  return name ? name : "CUresult " + std::to_string(static_cast<int>(result));
}

}  // namespace

void* driver_symbol(const char* name) {
  static void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
  if (!library) {
    const char* reason = dlerror();
    throw Error(Failure::kNoCuda,
                std::string("no CUDA driver: ") + (reason ? reason : "libcuda.so.1 cannot be opened"));
  }
  void* address = dlsym(library, name);
  if (!address) throw Error(Failure::kNoCuda, std::string("the CUDA driver has no ") + name);
  return address;
}

void check(CUresult result, const char* call) {
  if (result == CUDA_SUCCESS) return;
  throw Error(result == CUDA_ERROR_OUT_OF_MEMORY ? Failure::kOutOfMemory : Failure::kCuda,
              std::string(call) + " failed: " + text_of(result));
}

std::string megabytes(uint64_t bytes) {
  char text[32];
  const double value = static_cast<double>(bytes) / (1 << 20);
  std::snprintf(text, sizeof text, bytes % (1 << 20) == 0 || value >= 100 ? "%.0f MiB" : "%.1f MiB", value);
  return text;
}

Device::Device(const std::vector<std::string>& kernel_images) {
  CUDA_CALL(cuInit)(0u);
  CUDA_CALL(cuDeviceGet)(&device_, 0);
  char name[256] = {};
  CUDA_CALL(cuDeviceGetName)(name, static_cast<int>(sizeof name), device_);
  name_ = name;
  CUDA_CALL(cuDevicePrimaryCtxRetain)(&context_, device_);
  CUDA_CALL(cuCtxSetCurrent)(context_);
  std::string tried;
  for (const std::string& path : kernel_images) {
    const std::vector<char> image = read_file(path);
    const CUresult result = image.empty() ? CUDA_ERROR_FILE_NOT_FOUND : load(&module_, image);
    if (result == CUDA_SUCCESS) return;
    tried += "\n  " + path + ": " + text_of(result);
  }
  throw Error(Failure::kUsage, "no kernel image fits this device; tried:" + tried);
}

Device::~Device() {
  // The driver may be gone already, or the context broken: what fails here is not worth telling.
  try {
    if (module_) CUDA_CALL(cuModuleUnload)(module_);
    CUDA_CALL(cuDevicePrimaryCtxRelease)(device_);
  } catch (const Error&) {
  }
}

CUdeviceptr Device::allocate(uint64_t bytes, CUstream stream) {
  CUdeviceptr address = 0;
  try {
    CUDA_CALL(cuMemAlloc)(&address, static_cast<size_t>(bytes));
  } catch (const Error& error) {
    if (error.failure != Failure::kOutOfMemory) throw;
    uint64_t free_bytes = 0, total = 0;
    memory_info(free_bytes, total);
    throw Error(Failure::kOutOfMemory, "out of device memory: no room for " + megabytes(bytes) + " more with " +
                                           megabytes(live_) + " live (the card says " + megabytes(free_bytes) +
                                           " free of " + megabytes(total) + ")");
  }
  CUDA_CALL(cuMemsetD8Async)(address, static_cast<unsigned char>(0), static_cast<size_t>(bytes), stream);
  live_ += bytes;
  peak_live_ = std::max(peak_live_, live_);
  return address;
}

void Device::free(CUdeviceptr address, uint64_t bytes) {
  CUDA_CALL(cuMemFree)(address);
  live_ -= bytes;
}

CUfunction Device::kernel(const char* name) const {
  CUfunction function = nullptr;
  CUDA_CALL(cuModuleGetFunction)(&function, module_, name);
  return function;
}

CUstream Device::make_stream() const {
  CUstream stream = nullptr;
  CUDA_CALL(cuStreamCreate)(&stream, static_cast<unsigned>(CU_STREAM_NON_BLOCKING));
  return stream;
}

void Device::memory_info(uint64_t& free_bytes, uint64_t& total) const {
  size_t available = 0, all = 0;
  CUDA_CALL(cuMemGetInfo)(&available, &all);
  free_bytes = available;
  total = all;
}

void launch_packed(CUfunction kernel, CUstream stream, uint32_t blocks, void** parameters) {
  CUDA_CALL(cuLaunchKernel)
  (kernel, blocks, 1u, 1u, 256u, 1u, 1u, 0u, stream, parameters, static_cast<void**>(nullptr));
}

}  // namespace loretoken::train
