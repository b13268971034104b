// The CUDA driver, opened at run time, with errors as exceptions.
#ifndef LORETOKEN_TRAIN_CUDA_API_H
#define LORETOKEN_TRAIN_CUDA_API_H

#include <cuda.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace loretoken::train {

// What the program ends with; the exit code is the number.
enum class Failure { kUsage = 1, kNoCuda = 2, kOutOfMemory = 3, kMismatch = 4, kCuda = 5 };

struct Error : std::runtime_error {
  Error(Failure what_failed, const std::string& text) : std::runtime_error(text), failure(what_failed) {}
  Failure failure;
};

void* driver_symbol(const char* name);  // throws Error when libcuda.so.1 or the symbol is missing
void check(CUresult result, const char* call);

// CUDA_CALL(cuMemFree)(p): the symbol that cuda.h's macros select, looked up once.
#define CUDA_NAMED(name)                                                                                      \
  [](auto... arguments) {                                                                                     \
    static const auto function = reinterpret_cast<decltype(&name)>(::loretoken::train::driver_symbol(#name)); \
    ::loretoken::train::check(function(arguments...), #name);                                                 \
  }
#define CUDA_CALL(name) CUDA_NAMED(name)

std::string megabytes(uint64_t bytes);  // "600 MiB", "1.5 MiB"

// Device 0 with its primary context current, the kernels, and an account of the bytes the program holds.
class Device {
 public:
  // Tries the images in order; the first one the driver takes wins.
  explicit Device(const std::vector<std::string>& kernel_images);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  // Zero-filled on `stream`. Throws Failure::kOutOfMemory with the figures when the driver has no room.
  CUdeviceptr allocate(uint64_t bytes, CUstream stream);
  void free(CUdeviceptr address, uint64_t bytes);

  CUfunction kernel(const char* name) const;
  CUstream make_stream() const;

  const std::string& name() const { return name_; }
  uint64_t live() const { return live_; }
  uint64_t peak_live() const { return peak_live_; }
  void memory_info(uint64_t& free_bytes, uint64_t& total) const;

 private:
  CUdevice device_ = 0;
  CUcontext context_ = nullptr;
  CUmodule module_ = nullptr;
  std::string name_;
  uint64_t live_ = 0, peak_live_ = 0;
};

// Launches with blocks of 256 threads, at least `threads` in all. Arguments are passed by their own type: it must be
// the kernel's parameter type.
void launch_packed(CUfunction kernel, CUstream stream, uint32_t blocks, void** parameters);

template <class... Arguments>
void launch(CUfunction kernel, CUstream stream, uint64_t threads, Arguments... arguments) {
  void* parameters[] = {&arguments...};
  launch_packed(kernel, stream, static_cast<uint32_t>((threads + 255) / 256), parameters);
}

}  // namespace loretoken::train

#endif  // LORETOKEN_TRAIN_CUDA_API_H
