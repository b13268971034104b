// lt_fuzz: runs generated programs and prints one line per seed: the hash of every byte they could see.
//
//   lt_fuzz --kernels lt_fuzz_kernels_sim.so --first 1 --last 1000 --steps 24 --live-mib 72 --threads 2
//
// The same seeds give the same lines on any correct implementation of CUDA, and then one line "did" with how often each
// kind of step was done. A seed starts with at least --live-mib of live data, of all its threads together. It takes
// over what the seed before left and replaces an eighth of it: filling and packing everything costs more than the
// steps. Its hash is of what it used and released; every --fresh seeds, counted from the first, it is of everything,
// and all begins anew; so a seed is run again with those before it. A driver call that fails is named with its seed and
// ends the process with status 1, at once or with --stop 0 at the end.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "model.h"

int main(int argc, char** argv) {
  std::map<std::string, std::string> options{{"--kernels", ""}, {"--first", "1"},     {"--last", "1"},
                                             {"--steps", "24"}, {"--live-mib", "72"}, {"--threads", "2"},
                                             {"--fresh", "10"}, {"--stop", "1"}};
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
  fuzz::Counts counts{};
  std::vector<std::unique_ptr<fuzz::Program>> programs;
  for (uint64_t seed = number("--first"); seed <= number("--last"); ++seed) {
    if ((seed - number("--first")) % number("--fresh") == 0) {
      for (const auto& program : programs) failures += program->failures();
      programs.clear();
      for (uint64_t t = 0; t < threads; ++t) {
        programs.push_back(std::make_unique<fuzz::Program>(cu, module,
                                                           ((number("--live-mib") << 20) + threads - 1) / threads,
                                                           seed / number("--fresh") % 2 == 0, number("--stop") != 0));
      }
    }
    const bool whole = (seed - number("--first") + 1) % number("--fresh") == 0 || seed == number("--last");
    std::vector<uint64_t> hashes(threads);
    std::vector<std::thread> workers;
    for (uint64_t t = 0; t < threads; ++t) {
      workers.emplace_back([&, t] {
        fuzz::Program& program = *programs[t];
        cu.cuCtxSetCurrent(context);
        program.begin("seed " + std::to_string(seed) + " thread " + std::to_string(t), seed * 16 + t);
        for (uint64_t step = number("--steps"); step != 0; --step) program.step();
        hashes[t] = program.finish(whole);
      });
    }
    for (std::thread& worker : workers) worker.join();
    std::printf("seed %llu", static_cast<unsigned long long>(seed));
    for (uint64_t t = 0; t < threads; ++t) {
      std::printf(" %016llx", static_cast<unsigned long long>(hashes[t]));
      programs[t]->add_counts(&counts);
    }
    std::printf("\n");
    std::fflush(stdout);
  }
  static constexpr const char* kNames[] = {
#define X(name) #name,
      FUZZ_KINDS(X)
#undef X
  };
  std::printf("did");
  for (size_t i = 0; i < counts.size(); ++i)
    std::printf(" %s %llu", kNames[i], static_cast<unsigned long long>(counts[i]));
  std::printf("\n");
  for (const auto& program : programs) failures += program->failures();
  return failures == 0 ? 0 : 1;
}
