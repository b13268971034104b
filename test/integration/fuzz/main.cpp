// lt_fuzz: runs generated programs and prints one line per seed: the hash of every byte they could see.
//
//   lt_fuzz --kernels lt_fuzz_kernels_sim.so --first 1 --last 1000 --steps 80 --live-mib 48 --threads 2
//
// The same seeds give the same lines on any correct implementation of CUDA. Exit status 1 if a driver call failed.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <thread>

#include "model.h"

int main(int argc, char** argv) {
  std::map<std::string, std::string> options{{"--kernels", ""}, {"--first", "1"},     {"--last", "1"},
                                             {"--steps", "80"}, {"--live-mib", "48"}, {"--threads", "2"}};
  for (int i = 1; i + 1 < argc; i += 2) {
    if (options.count(argv[i]) == 0) {
      std::fprintf(stderr, "lt_fuzz: unknown option %s\n", argv[i]);
      return 2;
    }
    options[argv[i]] = argv[i + 1];
  }
  const auto number = [&](const char* name) { return std::strtoull(options[name].c_str(), nullptr, 10); };
  fuzz::Driver cu;
  if (!fuzz::open_driver(&cu)) return 2;
  CUdevice device = 0;
  CUcontext context = nullptr;
  CUmodule module = nullptr;
  if (cu.cuInit(0) != CUDA_SUCCESS || cu.cuDeviceGet(&device, 0) != CUDA_SUCCESS ||
      cu.cuDevicePrimaryCtxRetain(&context, device) != CUDA_SUCCESS || cu.cuCtxSetCurrent(context) != CUDA_SUCCESS ||
      cu.cuModuleLoad(&module, options["--kernels"].c_str()) != CUDA_SUCCESS) {
    std::fprintf(stderr, "lt_fuzz: no device, or the kernels %s could not be loaded\n", options["--kernels"].c_str());
    return 2;
  }
  const uint64_t threads = number("--threads");
  uint64_t failures = 0;
  for (uint64_t seed = number("--first"); seed <= number("--last"); ++seed) {
    std::vector<uint64_t> hashes(threads);
    std::vector<uint64_t> failed(threads);
    std::vector<std::thread> workers;
    for (uint64_t t = 0; t < threads; ++t) {
      workers.emplace_back([&, t] {
        cu.cuCtxSetCurrent(context);
        fuzz::Program program(cu, module, seed * 16 + t, (number("--live-mib") << 20) / threads);
        program.populate();
        for (uint64_t step = number("--steps"); step != 0; --step) program.step();
        hashes[t] = program.finish();
        failed[t] = program.failures();
      });
    }
    for (std::thread& worker : workers) worker.join();
    std::printf("seed %llu", static_cast<unsigned long long>(seed));
    for (uint64_t t = 0; t < threads; ++t) {
      std::printf(" %016llx", static_cast<unsigned long long>(hashes[t]));
      failures += failed[t];
    }
    std::printf("\n");
    std::fflush(stdout);
  }
  return failures == 0 ? 0 : 1;
}
