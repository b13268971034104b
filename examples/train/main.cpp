// Trains a small network by the CUDA driver API while it keeps a growing set of live buffers. It says what it computed
// (loss, a hash of every byte it holds) and what it held, so that two runs can be compared.
#include <cstdio>
#include <filesystem>

#include "cuda_api.h"
#include "hasher.h"
#include "live_set.h"
#include "network.h"
#include "options.h"

namespace {

using namespace loretoken::train;

std::vector<std::string> kernel_images(const Options& options) {
  if (!options.kernels.empty()) return {options.kernels};
  std::error_code ignored;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  const auto library = program.parent_path().parent_path() / "lib";
  return {library / "lt_train_kernels.fatbin", library / "sim" / "lt_train_kernels_sim.so"};
}

uint64_t read_word(CUdeviceptr address) {
  uint64_t value = 0;
  CUDA_CALL(cuCtxSynchronize)();
  CUDA_CALL(cuMemcpyDtoH)(static_cast<void*>(&value), address, sizeof value);
  return value;
}

// One hash over all tensors, in order.
uint64_t hash_all(Device& device, CUstream stream, const Network& network, const LiveSet& live) {
  Hasher hasher(device, stream);
  std::vector<Tensor> tensors = network.tensors();
  tensors.insert(tensors.end(), live.buffers().begin(), live.buffers().end());
  const CUdeviceptr result = device.allocate(8, stream);
  uint64_t total = tensors.size();
  for (const Tensor& tensor : tensors) {
    hasher.hash(result, tensor.address, tensor.bytes);
    total = (total ^ read_word(result)) * 0x9e3779b97f4a7c15ull;
    total ^= total >> 32;
  }
  return total;
}

void print_memory(const char* when, const Device& device) {
  uint64_t free_bytes = 0, total = 0;
  device.memory_info(free_bytes, total);
  std::printf("memory %s: %s free of %s, %s live\n", when, megabytes(free_bytes).c_str(), megabytes(total).c_str(),
              megabytes(device.live()).c_str());
}

void train(const Options& options) {
  Device device(kernel_images(options));
  const CUstream stream = device.make_stream();
  if (!options.hash_only) {
    std::printf("%s: %u layers of %u, batch %u, %u steps, growing to %s\n", device.name().c_str(), options.layers,
                options.width, options.batch, options.steps, megabytes(options.live).c_str());
    print_memory("at start", device);
    std::fflush(stdout);
  }
  Network network(device, stream, options);
  LiveSet live(device, stream, options);
  const uint64_t growing_steps = options.steps / 2 + 1;
  const uint32_t report_every = options.steps < 10 ? 1 : options.steps / 10;
  for (uint64_t step = 0; step < options.steps; ++step) {
    live.grow((live.target_count() * (step + 1) + growing_steps - 1) / growing_steps);
    live.check(step);
    const CUdeviceptr x = live.input(step);
    network.forward(x);
    network.backward(x, live.anchor(step));
    live.store(step, network);
    if (!options.hash_only && (step + 1) % report_every == 0) {
      std::printf("step %5llu  loss %.6f  live %s\n", static_cast<unsigned long long>(step + 1),
                  static_cast<double>(network.loss()), megabytes(device.live()).c_str());
      std::fflush(stdout);
    }
  }
  const LiveSet::Counts counts = live.counts();
  const uint64_t hash = hash_all(device, stream, network, live);
  if (options.hash_only) {
    std::printf("%016llx\n", static_cast<unsigned long long>(hash));
  } else {
    std::printf("revisited %llu buffers, %llu of them changed\n", static_cast<unsigned long long>(counts.checked),
                static_cast<unsigned long long>(counts.changed));
    print_memory("at end", device);
    std::printf("peak live %s\nhash %016llx\n", megabytes(device.peak_live()).c_str(),
                static_cast<unsigned long long>(hash));
  }
  std::fflush(stdout);
  if (counts.changed) throw Error(Failure::kMismatch, "the content of live buffers changed between two uses");
}

}  // namespace

int main(int count, char** arguments) {
  try {
    const Options options = parse_options(count, arguments);
    if (options.help) {
      std::fputs(usage().c_str(), stdout);
      return 0;
    }
    train(options);
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "lt_train_example: %s\n", error.what());
    if (error.failure == Failure::kUsage) std::fprintf(stderr, "lt_train_example --help lists the options\n");
    return static_cast<int>(error.failure);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lt_train_example: %s\n", error.what());
    return static_cast<int>(Failure::kCuda);
  }
}
