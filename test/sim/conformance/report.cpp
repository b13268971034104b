#include "report.h"

#include <dlfcn.h>

#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <thread>

namespace conformance {

namespace {
std::string section_name;
std::string kernel_path;
CUdevice current_device = 0;
CUcontext primary_context = nullptr;
}  // namespace

void* symbol(const char* name) {
  static void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
  if (!library) {
    std::fprintf(stderr, "sim_conformance: %s\n", dlerror());
    std::exit(2);
  }
  return dlsym(library, name);
}

void begin(const char* section) {
  section_name = section;
}

void say(const std::string& what, const char* format, ...) {
  std::printf("%s.%s: ", section_name.c_str(), what.c_str());
  va_list arguments;
  va_start(arguments, format);
  std::vprintf(format, arguments);
  va_end(arguments);
  std::printf("\n");
  std::fflush(stdout);
}

std::string name_of(CUresult value) {
  const char* name = nullptr;
  if (CU(cuGetErrorName)(value, &name) == CUDA_SUCCESS && name) return name;
  return "CUresult " + std::to_string(static_cast<int>(value));
}

CUresult result(const std::string& what, CUresult value) {
  say(what, "%s", name_of(value).c_str());
  return value;
}

bool start() {
  CUresult status = CU(cuInit)(0);
  if (status == CUDA_SUCCESS) status = CU(cuDeviceGet)(&current_device, 0);
  if (status == CUDA_SUCCESS) status = CU(cuDevicePrimaryCtxRetain)(&primary_context, current_device);
  if (status == CUDA_SUCCESS) status = CU(cuCtxSetCurrent)(primary_context);
  if (status != CUDA_SUCCESS) result("start", status);
  return status == CUDA_SUCCESS;
}

CUdevice device() {
  return current_device;
}
CUcontext primary() {
  return primary_context;
}

void set_kernel_path(const std::string& path) {
  kernel_path = path;
}

const std::vector<char>& kernel_image() {
  static const std::vector<char> image = [] {
    std::ifstream file(kernel_path, std::ios::binary);
    std::vector<char> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    if (bytes.empty()) say("kernels", "cannot read the kernel image");
    bytes.push_back('\0');
    return bytes;
  }();
  return image;
}

CUmodule kernels() {
  static const CUmodule module = [] {
    CUmodule loaded = nullptr;
    if (const CUresult status = CU(cuModuleLoadData)(&loaded, kernel_image().data())) result("kernels", status);
    return loaded;
  }();
  return module;
}

CUfunction kernel(const char* name) {
  CUfunction function = nullptr;
  if (const CUresult status = CU(cuModuleGetFunction)(&function, kernels(), name)) result(name, status);
  return function;
}

CUdeviceptr allocate(size_t bytes) {
  CUdeviceptr address = 0;
  if (const CUresult status = CU(cuMemAlloc)(&address, bytes)) result("allocate", status);
  return address;
}

CUstream make_stream(unsigned flags) {
  CUstream stream = nullptr;
  if (const CUresult status = CU(cuStreamCreate)(&stream, flags)) result("make_stream", status);
  return stream;
}

CUevent make_event(unsigned flags) {
  CUevent event = nullptr;
  if (const CUresult status = CU(cuEventCreate)(&event, flags)) result("make_event", status);
  return event;
}

CUresult fill(CUstream stream, CUdeviceptr out, uint32_t count, uint32_t value) {
  void* params[] = {&out, &count, &value};
  return CU(cuLaunchKernel)(kernel("conform_fill"), (count + 255) / 256, 1, 1, 256, 1, 1, 0, stream, params, nullptr);
}

uint64_t hash_bytes(const void* data, size_t bytes) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (size_t i = 0; i < bytes; ++i) hash = (hash ^ static_cast<const unsigned char*>(data)[i]) * 0x100000001b3ull;
  return hash;
}

uint64_t hash_of(CUdeviceptr address, size_t bytes) {
  std::vector<char> copy(bytes);
  if (CU(cuCtxSynchronize)() != CUDA_SUCCESS) return 0;
  if (CU(cuMemcpyDtoH)(copy.data(), address, bytes) != CUDA_SUCCESS) return 0;
  return hash_bytes(copy.data(), bytes);
}

struct Blocked::Gate {
  std::atomic<bool> open{false};
};

Blocked::Blocked(CUstream stream) : gate_(new Gate) {
  auto wait = [](void* gate) {
    while (!static_cast<Gate*>(gate)->open.load()) std::this_thread::yield();
  };
  if (const CUresult status = CU(cuLaunchHostFunc)(stream, wait, gate_)) result("block", status);
}

// The gate stays: the host function may still be reading it.
Blocked::~Blocked() {
  release();
}

void Blocked::release() {
  gate_->open.store(true);
}

CUmemAllocationProp device_memory() {
  CUmemAllocationProp prop{};
  prop.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  prop.location = {CU_MEM_LOCATION_TYPE_DEVICE, {device()}};
  return prop;
}

CUresult allow(CUdeviceptr base, size_t size, CUmemAccess_flags flags) {
  CUmemAccessDesc access{};
  access.location = {CU_MEM_LOCATION_TYPE_DEVICE, {device()}};
  access.flags = flags;
  return CU(cuMemSetAccess)(base, size, &access, 1);
}

VmmRange map_fresh(size_t size) {
  VmmRange range;
  range.size = size;
  const CUmemAllocationProp prop = device_memory();
  CUresult status = CU(cuMemAddressReserve)(&range.base, size, 0, 0, 0);
  if (status == CUDA_SUCCESS) status = CU(cuMemCreate)(&range.handle, size, &prop, 0);
  if (status == CUDA_SUCCESS) status = CU(cuMemMap)(range.base, size, 0, range.handle, 0);
  if (status == CUDA_SUCCESS) status = allow(range.base, size);
  if (status != CUDA_SUCCESS) result("map_fresh", status);
  return range;
}

}  // namespace conformance
