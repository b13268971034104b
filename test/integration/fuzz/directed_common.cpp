#include <cstdio>
#include <cstdlib>

#include "directed.h"

namespace directed {

int number_of(const char* variable, int fallback) {
  const char* given = std::getenv(variable);
  return given != nullptr ? std::atoi(given) : fallback;
}

int fillers() {
  static const int count = number_of("LT_FILLERS", 60);
  return count;
}

void check(CUresult result, const char* what) {
  if (result == CUDA_SUCCESS) return;
  std::fprintf(stderr, "%s returned %d\n", what, result);
  ++failures;
}

void launch(const char* kernel, CUstream stream, std::vector<void*> params) {
  CUfunction function = nullptr;
  check(cu.cuModuleGetFunction(&function, module, kernel), "cuModuleGetFunction");
  check(cu.cuLaunchKernel(function, 8, 1, 1, 64, 1, 1, 0, stream, params.data(), nullptr), kernel);
}

void fill(CUdeviceptr at, CUstream stream, uint32_t seed, uint32_t kind) {
  uint32_t words = kWords;
  launch("fuzz_fill", stream, {&at, &words, &seed, &kind});
}

CUdeviceptr allocate() {
  CUdeviceptr at = 0;
  check(cu.cuMemAlloc_v2(&at, kWords * 4), "cuMemAlloc");
  return at;
}

void print_hash(CUdeviceptr at) {
  std::vector<uint32_t> host(kWords);
  check(cu.cuMemcpyDtoH_v2(host.data(), at, kWords * 4), "cuMemcpyDtoH");
  uint64_t hash = 1469598103934665603ull;
  for (const uint32_t word : host) hash = (hash ^ word) * 1099511628211ull;
  std::printf("%016llx\n", static_cast<unsigned long long>(hash));
}

void press(CUstream stream, uint32_t kind) {
  for (int i = 0; i < fillers(); ++i) fill(allocate(), stream, static_cast<uint32_t>(i), kind);
}

}  // namespace directed
