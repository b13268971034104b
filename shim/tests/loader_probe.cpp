// Run under LD_PRELOAD=libloretoken.so by loader_doors_test: one small program per name. Exit status 0: as expected;
// else a line on stderr says what was not.
#include <cuda.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <string>
#include <thread>
#include <vector>

#include "driver/nvml_types.h"

namespace {

#define EXPECT(condition)                                                       \
  do {                                                                          \
    if (!(condition)) {                                                         \
      fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
      return 1;                                                                 \
    }                                                                           \
  } while (false)

void* g_cuda = nullptr;

template <class F>
F* look_up(const char* name) {
  return reinterpret_cast<F*>(dlsym(g_cuda, name));
}

std::string object_of(const void* address) {
  Dl_info info{};
  if (address == nullptr || dladdr(address, &info) == 0) return "";
  const char* slash = strrchr(info.dli_fname, '/');
  return slash == nullptr ? info.dli_fname : slash + 1;
}
bool is_hook(const void* address) {
  return object_of(address) == "libloretoken.so";
}
bool is_real(const void* address) {
  return object_of(address) == "libcuda.so.1";
}

bool start(int flags = RTLD_NOW) {
  g_cuda = dlopen("libcuda.so.1", flags);
  if (g_cuda == nullptr) fprintf(stderr, "%s\n", dlerror());
  return g_cuda != nullptr && look_up<decltype(cuInit)>("cuInit")(0) == CUDA_SUCCESS;
}

CUcontext primary() {
  CUcontext context = nullptr;
  look_up<decltype(cuDevicePrimaryCtxRetain)>("cuDevicePrimaryCtxRetain")(&context, 0);
  look_up<decltype(cuCtxSetCurrent)>("cuCtxSetCurrent")(context);
  return context;
}

void* address_of(const char* base, int version, cuuint64_t flags) {
  void* function = nullptr;
  look_up<decltype(cuGetProcAddress_v2)>("cuGetProcAddress_v2")(base, &function, version, flags, nullptr);
  return function;
}

// Names that only begin like the driver's.
extern "C" __attribute__((visibility("default"))) int cudnnCreate(void**) {
  return 17;
}
extern "C" __attribute__((visibility("default"))) int cublasCreate_v2(void**) {
  return 18;
}
extern "C" __attribute__((visibility("default"))) int cuMyOwnThing() {
  return 19;
}

int cudnn() {
  void* self = dlopen(nullptr, RTLD_NOW);
  EXPECT(dlsym(self, "cudnnCreate") == reinterpret_cast<void*>(&cudnnCreate));
  EXPECT(dlsym(RTLD_DEFAULT, "cublasCreate_v2") == reinterpret_cast<void*>(&cublasCreate_v2));
  EXPECT(dlsym(self, "cuMyOwnThing") == reinterpret_cast<void*>(&cuMyOwnThing));
  EXPECT(dlsym(self, "cudnnDestroy") == nullptr);
  return 0;
}

int dlsym_hooks() {
  EXPECT(start());
  EXPECT(is_hook(dlsym(g_cuda, "cuMemAlloc_v2")));
  EXPECT(is_hook(dlsym(g_cuda, "cuGetProcAddress_v2")));
  EXPECT(is_real(dlsym(g_cuda, "cuInit")));
  EXPECT(is_real(dlsym(g_cuda, "cuGetExportTable")));
  EXPECT(dlsym(g_cuda, "cuNoSuchFunction") == nullptr);
  return 0;
}

int repeated() {
  EXPECT(start());
  void* first = dlsym(g_cuda, "cuMemAlloc_v2");
  for (int i = 0; i < 3; ++i) EXPECT(dlsym(g_cuda, "cuMemAlloc_v2") == first);
  EXPECT(dlsym(RTLD_DEFAULT, "cuMemAlloc_v2") == first);
  EXPECT(address_of("cuMemAlloc", 13000, 0) == first);
  EXPECT(address_of("cuMemAlloc", 13000, 0) == first);
  return 0;
}

int per_thread() {
  EXPECT(start());
  void* legacy = address_of("cuMemcpyAsync", 13000, CU_GET_PROC_ADDRESS_LEGACY_STREAM);
  void* own = address_of("cuMemcpyAsync", 13000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM);
  EXPECT(legacy != own);
  EXPECT(legacy == dlsym(g_cuda, "cuMemcpyAsync"));
  EXPECT(own == dlsym(g_cuda, "cuMemcpyAsync_ptsz"));
  EXPECT(is_hook(legacy) && is_hook(own));
  EXPECT(address_of("cuMemcpy", 13000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM) ==
         dlsym(g_cuda, "cuMemcpy_ptds"));
  return 0;
}

int versions() {
  EXPECT(start());
  EXPECT(address_of("cuGraphAddKernelNode", 12000, 0) == dlsym(g_cuda, "cuGraphAddKernelNode_v2"));
  EXPECT(address_of("cuGraphAddKernelNode", 10000, 0) == dlsym(g_cuda, "cuGraphAddKernelNode"));
  EXPECT(address_of("cuGraphExecUpdate", 12000, 0) == dlsym(g_cuda, "cuGraphExecUpdate_v2"));
  EXPECT(address_of("cuGraphAddKernelNode", 12000, 0) != address_of("cuGraphAddKernelNode", 10000, 0));
  EXPECT(is_hook(address_of("cuGraphExecKernelNodeSetParams", 12000, 0)));
  EXPECT(address_of("cuGraphExecKernelNodeSetParams", 12000, 0) == dlsym(g_cuda, "cuGraphExecKernelNodeSetParams_v2"));
  return 0;
}

int of_itself() {
  EXPECT(start());
  void* found = address_of("cuGetProcAddress", 13000, 0);
  EXPECT(is_hook(found));
  void* inner = nullptr;
  reinterpret_cast<decltype(&cuGetProcAddress_v2)>(found)("cuMemFree", &inner, 13000, 0, nullptr);
  EXPECT(inner == dlsym(g_cuda, "cuMemFree_v2"));
  return 0;
}

int null_info() {
  EXPECT(start());
  EXPECT(primary() != nullptr);
  const auto info = look_up<decltype(cuMemGetInfo_v2)>("cuMemGetInfo_v2");
  size_t free = 0;
  size_t total = 0;
  EXPECT(info(&free, &total) == CUDA_SUCCESS);
  const CUresult both = info(nullptr, nullptr);
  EXPECT(both == CUDA_SUCCESS || both == CUDA_ERROR_INVALID_VALUE);
  size_t alone = 0;
  const CUresult result = info(nullptr, &alone);
  EXPECT(result == CUDA_ERROR_INVALID_VALUE || alone == total);
  return 0;
}

// With a pointer never allocated, what the driver says without the shim: given as argument.
int unknown_free(int expected) {
  EXPECT(start());
  EXPECT(primary() != nullptr);
  CUdeviceptr ours = 0;
  EXPECT(look_up<decltype(cuMemAlloc_v2)>("cuMemAlloc_v2")(&ours, 1 << 20) == CUDA_SUCCESS);
  const CUresult result = look_up<decltype(cuMemFree_v2)>("cuMemFree_v2")(0x123450000);
  if (expected < 0) return static_cast<int>(result);
  EXPECT(result == expected);
  EXPECT(look_up<decltype(cuMemFree_v2)>("cuMemFree_v2")(ours) == CUDA_SUCCESS);
  return 0;
}

// The driver's library is loaded only while dlsym was not asked for it by us: looking up must not load or start it.
int nothing_in_dlsym() {
  EXPECT(dlopen("libcuda.so.1", RTLD_NOLOAD | RTLD_NOW) == nullptr);
  for (const char* name : {"cuMemAlloc_v2", "cuGetProcAddress_v2", "cuLaunchKernel", "nvmlDeviceGetMemoryInfo"}) {
    dlsym(RTLD_DEFAULT, name);
    dlsym(RTLD_NEXT, name);
  }
  EXPECT(dlopen("libcuda.so.1", RTLD_NOLOAD | RTLD_NOW) == nullptr);
  // And many threads at once, one of them loading the library: nobody waits for another.
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([] {
      for (int k = 0; k < 2000; ++k) dlsym(RTLD_DEFAULT, "cuMemAlloc_v2");
    });
  }
  void* handle = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  for (std::thread& thread : threads) thread.join();
  EXPECT(handle != nullptr);
  EXPECT(is_hook(dlsym(handle, "cuMemAlloc_v2")));
  return 0;
}

int forked() {
  EXPECT(start());
  EXPECT(primary() != nullptr);
  CUdeviceptr address = 0;
  EXPECT(look_up<decltype(cuMemAlloc_v2)>("cuMemAlloc_v2")(&address, 64 << 20) == CUDA_SUCCESS);
  const pid_t child = fork();
  if (child == 0) {
    // The driver refuses to serve the child of a process that used it; the shim must neither hang nor crash nor answer.
    alarm(20);
    CUdeviceptr other = 0;
    const CUresult result = look_up<decltype(cuMemAlloc_v2)>("cuMemAlloc_v2")(&other, 1 << 20);
    look_up<decltype(cuMemFree_v2)>("cuMemFree_v2")(address);
    _exit(result == CUDA_SUCCESS ? 2 : 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT(look_up<decltype(cuMemFree_v2)>("cuMemFree_v2")(address) == CUDA_SUCCESS);
  return 0;
}

// A child forked before the driver was used gets a runtime of its own.
int forked_early() {
  const pid_t child = fork();
  if (child == 0) {
    CUdeviceptr address = 0;
    const bool good = start() && primary() != nullptr &&
                      look_up<decltype(cuMemAlloc_v2)>("cuMemAlloc_v2")(&address, 64 << 20) == CUDA_SUCCESS &&
                      look_up<decltype(cuMemsetD8_v2)>("cuMemsetD8_v2")(address, 1, 64 << 20) == CUDA_SUCCESS &&
                      look_up<decltype(cuMemFree_v2)>("cuMemFree_v2")(address) == CUDA_SUCCESS;
    _exit(good ? 0 : 2);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  return 0;
}

int local() {
  EXPECT(start(RTLD_NOW | RTLD_LOCAL));
  EXPECT(primary() != nullptr);
  CUdeviceptr address = 0;
  EXPECT(look_up<decltype(cuMemAlloc_v2)>("cuMemAlloc_v2")(&address, 8 << 20) == CUDA_SUCCESS);
  size_t free = 0;
  size_t total = 0;
  EXPECT(look_up<decltype(cuMemGetInfo_v2)>("cuMemGetInfo_v2")(&free, &total) == CUDA_SUCCESS);
  EXPECT(total == 512 << 20);  // the enlarged card
  EXPECT(look_up<decltype(cuMemFree_v2)>("cuMemFree_v2")(address) == CUDA_SUCCESS);
  return 0;
}

int enlarged() {
  EXPECT(start());
  EXPECT(primary() != nullptr);
  size_t total = 0;
  size_t free = 0;
  size_t device_total = 0;
  EXPECT(look_up<decltype(cuMemGetInfo_v2)>("cuMemGetInfo_v2")(&free, &total) == CUDA_SUCCESS);
  EXPECT(look_up<decltype(cuDeviceTotalMem_v2)>("cuDeviceTotalMem_v2")(&device_total, 0) == CUDA_SUCCESS);
  EXPECT(total == size_t{512} << 20);
  EXPECT(device_total == total);
  void* nvml = dlopen("libnvidia-ml.so.1", RTLD_NOW);
  EXPECT(nvml != nullptr);
  EXPECT(reinterpret_cast<int (*)()>(dlsym(nvml, "nvmlInit_v2"))() == 0);
  nvmlDevice_t device = nullptr;
  EXPECT(reinterpret_cast<int (*)(unsigned, nvmlDevice_t*)>(dlsym(nvml, "nvmlDeviceGetHandleByIndex_v2"))(0, &device) ==
         0);
  nvmlMemory_t memory{};
  EXPECT(reinterpret_cast<decltype(&nvmlDeviceGetMemoryInfo)>(dlsym(nvml, "nvmlDeviceGetMemoryInfo"))(
             device, &memory) == NVML_SUCCESS);
  EXPECT(memory.total == total);
  EXPECT(memory.free + memory.used == memory.total);
  return 0;
}

int context_reset() {
  EXPECT(start());
  EXPECT(primary() != nullptr);
  CUdeviceptr address = 0;
  const auto allocate = look_up<decltype(cuMemAlloc_v2)>("cuMemAlloc_v2");
  EXPECT(allocate(&address, 8 << 20) == CUDA_SUCCESS);
  EXPECT(look_up<decltype(cuDevicePrimaryCtxReset_v2)>("cuDevicePrimaryCtxReset_v2")(0) == CUDA_SUCCESS);
  EXPECT(primary() != nullptr);
  EXPECT(allocate(&address, 8 << 20) == CUDA_SUCCESS);
  EXPECT(look_up<decltype(cuMemFree_v2)>("cuMemFree_v2")(address) == CUDA_SUCCESS);
  return 0;
}

// On the small driver of newer_driver.cpp, which looks itself up.
int self_lookup() {
  EXPECT(start());
  EXPECT(is_hook(dlsym(g_cuda, "cuMemFree_v2")));
  EXPECT(look_up<decltype(cuMemFree_v2)>("cuMemFree_v2")(4096) == CUDA_ERROR_INVALID_VALUE);
  return 0;
}

// On the same one.
int newer() {
  EXPECT(start());
  void* function = address_of("cuMemFree", 20000, 0);
  EXPECT(is_hook(function));
  EXPECT(address_of("cuMemFree", 20000, 0) == function);
  const auto call =
      reinterpret_cast<double (*)(long, long, long, long, long, long, long, long, double, double)>(function);
  EXPECT(call(1, 2, 3, 4, 5, 6, 7, 8, 1.5, 2.0) == 3.0);
  EXPECT(call(1, 2, 3, 4, 5, 6, 7, 8, 2.5, 2.0) == 5.0);
  return 0;
}

int selftest() {
  const auto test = reinterpret_cast<const char* (*)()>(dlsym(RTLD_DEFAULT, "loretoken_selftest"));
  EXPECT(test != nullptr);
  printf("%s\n", test());
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  const std::map<std::string, int (*)()> programs = {{"cudnn", cudnn},
                                                     {"dlsym", dlsym_hooks},
                                                     {"repeated", repeated},
                                                     {"per_thread", per_thread},
                                                     {"versions", versions},
                                                     {"of_itself", of_itself},
                                                     {"null_info", null_info},
                                                     {"nothing_in_dlsym", nothing_in_dlsym},
                                                     {"forked", forked},
                                                     {"forked_early", forked_early},
                                                     {"local", local},
                                                     {"enlarged", enlarged},
                                                     {"context_reset", context_reset},
                                                     {"self_lookup", self_lookup},
                                                     {"newer", newer},
                                                     {"selftest", selftest}};
  if (count < 2) return 99;
  const std::string name = arguments[1];
  if (name == "unknown_free") return unknown_free(count > 2 ? std::stoi(arguments[2]) : -1);
  const auto at = programs.find(name);
  return at == programs.end() ? 99 : at->second();
}
