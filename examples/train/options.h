#ifndef LORETOKEN_TRAIN_OPTIONS_H
#define LORETOKEN_TRAIN_OPTIONS_H

#include <cstdint>
#include <string>

namespace loretoken::train {

struct Options {
  uint32_t steps = 60;
  uint32_t width = 128;  // multiple of 8
  uint32_t layers = 3;
  uint32_t batch = 32;
  uint64_t live = 0;    // bytes of live buffers to grow to, beside the network
  uint64_t buffer = 0;  // bytes of one live buffer; 0: chosen from `live`
  uint64_t seed = 1;
  std::string kernels;  // empty: beside the program
  bool hash_only = false;
  bool help = false;
};

// Throws Error(kUsage) naming the option, the value, and what is allowed.
Options parse_options(int count, char** arguments);
std::string usage();

}  // namespace loretoken::train

#endif  // LORETOKEN_TRAIN_OPTIONS_H
