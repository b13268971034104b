#include "options.h"

#include <cerrno>
#include <cstdlib>

#include "cuda_api.h"

namespace loretoken::train {

namespace {

[[noreturn]] void refuse(const std::string& option, const std::string& value, const std::string& allowed) {
  throw Error(Failure::kUsage, option + " " + value + ": must be " + allowed);
}

uint64_t number(const std::string& option, const std::string& text, uint64_t low, uint64_t high) {
  char* end = nullptr;
  errno = 0;
  const unsigned long long value = std::strtoull(text.c_str(), &end, 10);
  if (text.empty() || text[0] == '-' || *end || errno || value < low || value > high)
    refuse(option, text, "a number from " + std::to_string(low) + " to " + std::to_string(high));
  return value;
}

uint64_t size(const std::string& option, const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  const std::string unit = end;
  const double factor = unit == "GiB" ? 0x1p30 : unit == "MiB" ? 0x1p20 : unit == "GB" ? 1e9 : unit == "MB" ? 1e6 : 0;
  if (end == text.c_str() || factor == 0 || !(value >= 0) || value * factor > 1e14)
    refuse(option, text, "a size such as 600MiB or 2GiB (units MiB, GiB, MB, GB)");
  return static_cast<uint64_t>(value * factor);
}

}  // namespace

std::string usage() {
  return "usage: lt_train_example [options]\n"
         "Trains a small network and keeps a growing set of live buffers that it revisits and verifies.\n"
         "  --steps N      training steps (60)\n"
         "  --width W      width of every layer, a multiple of 8 (128)\n"
         "  --layers L     layers (3)\n"
         "  --batch B      rows per step (32)\n"
         "  --live SIZE    bytes of live buffers to grow to, such as 600MiB or 2GiB (0MiB)\n"
         "  --buffer SIZE  bytes of one live buffer (chosen from --live)\n"
         "  --seed S       seed of weights and data (1)\n"
         "  --kernels PATH kernel image: lt_train_kernels.fatbin, or lt_train_kernels_sim.so on the simulator\n"
         "  --hash-only    print only the hash of all live bytes\n"
         "Exit code: 0, or 1 wrong usage, 2 no CUDA, 3 out of memory, 4 content changed, 5 another CUDA error.\n";
}

Options parse_options(int count, char** arguments) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string name = arguments[i];
    if (name == "--hash-only") {
      options.hash_only = true;
      continue;
    }
    if (name == "--help" || name == "-h") {
      options.help = true;
      continue;
    }
    if (name != "--steps" && name != "--width" && name != "--layers" && name != "--batch" && name != "--live" &&
        name != "--buffer" && name != "--seed" && name != "--kernels")
      throw Error(Failure::kUsage, "unknown option " + name);
    if (++i == count) throw Error(Failure::kUsage, name + " needs a value");
    const std::string value = arguments[i];
    if (name == "--steps") options.steps = static_cast<uint32_t>(number(name, value, 1, 100000000));
    if (name == "--layers") options.layers = static_cast<uint32_t>(number(name, value, 1, 256));
    if (name == "--batch") options.batch = static_cast<uint32_t>(number(name, value, 1, 65536));
    if (name == "--seed") options.seed = number(name, value, 0, UINT64_MAX);
    if (name == "--live") options.live = size(name, value);
    if (name == "--buffer") options.buffer = size(name, value);
    if (name == "--kernels") options.kernels = value;
    if (name == "--width") {
      options.width = static_cast<uint32_t>(number(name, value, 8, 32768));
      if (options.width % 8) refuse(name, value, "a multiple of 8");
    }
  }
  return options;
}

}  // namespace loretoken::train
