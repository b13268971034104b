// Host cost of driver calls: launches, small copies, allocation and free. Prints one JSON line of nanoseconds.
//
// Every call is timed alone by clock_gettime; launches come in batches with a synchronise between them, so that the
// queue never fills. The clock's own cost (printed as clock) is in every figure, with and without the shim.
//   nvcc -O2 -std=c++17 -cubin -arch=native launch_latency_kernels.cu -o launch_latency.cubin
//   g++ -O2 -std=c++17 launch_latency.cpp -I <folder of cuda.h> -lcuda -o launch_latency
//   ./launch_latency [launches] [cubin]
#include <cuda.h>
#include <elf.h>
#include <link.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

void check(CUresult result, const char* call) {
  if (result == CUDA_SUCCESS) return;
  const char* name = "?";
  cuGetErrorName(result, &name);
  std::fprintf(stderr, "%s: %s\n", call, name);
  std::exit(1);
}
#define CHECK(call) check(call, #call)

int64_t now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000ll + time.tv_nsec;
}

class Samples {
 public:
  explicit Samples(size_t expected) { values_.reserve(expected); }
  template <typename Call>
  void time(Call&& call) {
    const int64_t begin = now();
    call();
    values_.push_back(now() - begin);
  }
  // The q-th quantile, 0 ≤ q < 1.
  int64_t at(double q) {
    auto place = values_.begin() + static_cast<std::ptrdiff_t>(static_cast<double>(values_.size()) * q);
    std::nth_element(values_.begin(), place, values_.end());
    return *place;
  }

 private:
  std::vector<int64_t> values_;
};

std::string out = "{";

void figure(const std::string& name, int64_t value) {
  if (out.size() > 1) out += ", ";
  out += "\"" + name + "\": " + std::to_string(value);
}

void quantiles(const std::string& name, Samples& samples) {
  figure(name + " p50", samples.at(0.5));
  figure(name + " p99", samples.at(0.99));
}

constexpr int kBatch = 500;  // launches between two synchronises: below the depth of the driver's queue
constexpr size_t kBytes = 64 << 20;

void measure_launches(const std::string& name, CUfunction kernel, void** parameters, CUstream stream, int launches) {
  Samples samples(static_cast<size_t>(launches));
  for (int i = 0; i < 2000; ++i) CHECK(cuLaunchKernel(kernel, 1, 1, 1, 32, 1, 1, 0, stream, parameters, nullptr));
  CHECK(cuStreamSynchronize(stream));
  for (int i = 0; i < launches; ++i) {
    if (i % kBatch == 0) CHECK(cuStreamSynchronize(stream));
    samples.time([&] { CHECK(cuLaunchKernel(kernel, 1, 1, 1, 32, 1, 1, 0, stream, parameters, nullptr)); });
  }
  CHECK(cuStreamSynchronize(stream));
  quantiles(name, samples);
}

// cuLaunchKernel of the driver's library itself, by its symbol table: dlsym would lead to what is preloaded.
using LaunchKernel = decltype(&cuLaunchKernel);

int find_launch(dl_phdr_info* library, size_t, void* found) {
  if (std::strstr(library->dlpi_name, "libcuda.so") == nullptr) return 0;
  const ElfW(Sym)* symbols = nullptr;
  const char* names = nullptr;
  for (int i = 0; i < library->dlpi_phnum; ++i) {
    if (library->dlpi_phdr[i].p_type != PT_DYNAMIC) continue;
    const auto* entry = reinterpret_cast<const ElfW(Dyn)*>(library->dlpi_addr + library->dlpi_phdr[i].p_vaddr);
    for (; entry->d_tag != DT_NULL; ++entry) {
      if (entry->d_tag == DT_SYMTAB) symbols = reinterpret_cast<const ElfW(Sym)*>(entry->d_un.d_ptr);
      if (entry->d_tag == DT_STRTAB) names = reinterpret_cast<const char*>(entry->d_un.d_ptr);
    }
  }
  // The names lie behind the symbols.
  for (const auto* symbol = symbols; reinterpret_cast<const char*>(symbol) < names; ++symbol) {
    if (symbol->st_value == 0 || std::strcmp(names + symbol->st_name, "cuLaunchKernel") != 0) continue;
    *static_cast<LaunchKernel*>(found) = reinterpret_cast<LaunchKernel>(library->dlpi_addr + symbol->st_value);
    return 1;
  }
  return 0;
}

// The linked function and the driver's own take turns within one process, so that both have the same machine: what the
// preloaded library adds is the difference.
void measure_in_turns(const std::string& name, CUfunction kernel, void** parameters, CUstream stream, int launches) {
  LaunchKernel own = nullptr;
  dl_iterate_phdr(find_launch, &own);
  if (own == nullptr) return;
  Samples linked(static_cast<size_t>(launches)), direct(static_cast<size_t>(launches));
  for (int i = 0; i < launches; ++i) {
    if (i % (kBatch / 2) == 0) CHECK(cuStreamSynchronize(stream));
    linked.time([&] { CHECK(cuLaunchKernel(kernel, 1, 1, 1, 32, 1, 1, 0, stream, parameters, nullptr)); });
    direct.time([&] { CHECK(own(kernel, 1, 1, 1, 32, 1, 1, 0, stream, parameters, nullptr)); });
  }
  CHECK(cuStreamSynchronize(stream));
  quantiles(name + ", in turns", linked);
  quantiles(name + ", in turns, driver's own", direct);
}

void measure_copies(CUdeviceptr device, void* pinned, CUstream stream) {
  Samples up(20000), down(20000);
  for (int i = 0; i < 20000; ++i) {
    if (i % 100 == 0) CHECK(cuStreamSynchronize(stream));
    up.time([&] { CHECK(cuMemcpyHtoDAsync(device, pinned, 4096, stream)); });
    down.time([&] { CHECK(cuMemcpyDtoHAsync(pinned, device, 4096, stream)); });
  }
  CHECK(cuStreamSynchronize(stream));
  quantiles("copy 4 KiB to device", up);
  quantiles("copy 4 KiB to host", down);
}

// A pair per sample. Pooled: the pool keeps what was freed, as PyTorch sets it.
void measure_allocations(CUdevice device, CUstream stream) {
  CUmemoryPool pool;
  CHECK(cuDeviceGetDefaultMemPool(&pool, device));
  cuuint64_t keep = UINT64_MAX;
  CHECK(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &keep));
  Samples pooled(20000), direct(300);
  CUdeviceptr memory = 0;
  for (int i = 0; i < 20000; ++i) {
    pooled.time([&] {
      CHECK(cuMemAllocAsync(&memory, kBytes, stream));
      CHECK(cuMemFreeAsync(memory, stream));
    });
    if (i % 100 == 0) CHECK(cuStreamSynchronize(stream));
  }
  CHECK(cuStreamSynchronize(stream));
  for (int i = 0; i < 300; ++i) {
    direct.time([&] {
      CHECK(cuMemAlloc(&memory, kBytes));
      CHECK(cuMemFree(memory));
    });
  }
  quantiles("64 MiB cuMemAllocAsync + free", pooled);
  quantiles("64 MiB cuMemAlloc + free", direct);
}

}  // namespace

int main(int argc, char** argv) {
  const int launches = argc > 1 ? std::atoi(argv[1]) : 200000;
  std::string image = argc > 2 ? argv[2] : std::string(argv[0]) + ".cubin";
  CUdevice device;
  CUcontext context;
  CUmodule module;
  CUfunction empty, three;
  CUstream stream;
  CHECK(cuInit(0));
  CHECK(cuDeviceGet(&device, 0));
  CHECK(cuDevicePrimaryCtxRetain(&context, device));
  CHECK(cuCtxSetCurrent(context));
  CHECK(cuModuleLoad(&module, image.c_str()));
  CHECK(cuModuleGetFunction(&empty, module, "empty"));
  CHECK(cuModuleGetFunction(&three, module, "three_pointers"));
  CHECK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));

  CUdeviceptr a = 0, b = 0, c = 0;
  for (CUdeviceptr* pointer : {&a, &b, &c}) CHECK(cuMemAlloc(pointer, kBytes));
  CHECK(cuMemsetD8(a, 0, kBytes));
  CHECK(cuMemsetD8(b, 0, kBytes));
  void* pinned = nullptr;
  CHECK(cuMemHostAlloc(&pinned, 1 << 20, 0));

  Samples clock(100000);
  for (int i = 0; i < 100000; ++i) clock.time([] {});
  figure("clock", clock.at(0.5));
  int count = 32;
  void* none[] = {nullptr};
  void* parameters[] = {&a, &b, &c, &count};
  measure_launches("launch, no parameter", empty, none, stream, launches);
  measure_launches("launch, three pointers", three, parameters, stream, launches);
  measure_in_turns("launch, no parameter", empty, none, stream, launches);
  measure_in_turns("launch, three pointers", three, parameters, stream, launches);
  measure_copies(a, pinned, stream);
  measure_allocations(device, stream);
  std::printf("%s}\n", out.c_str());
  return 0;
}
