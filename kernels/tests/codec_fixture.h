// Runs the codec on host objects: a driver of five calls that executes every launch at once on the calling thread.
#ifndef LORETOKEN_TESTS_CODEC_FIXTURE_H
#define LORETOKEN_TESTS_CODEC_FIXTURE_H

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "host_object.h"
#include "loretoken/blob_check.h"
#include "loretoken/codec.h"

namespace loretoken {

inline DriverApi host_driver() {
  DriverApi api{};
  api.cuModuleLoadData = [](CUmodule* module, const void* image) {
    *module = reinterpret_cast<CUmodule>(new HostObject(static_cast<const char*>(image)));  // the image is a path here
    return CUDA_SUCCESS;
  };
  api.cuModuleUnload = [](CUmodule module) {
    delete reinterpret_cast<HostObject*>(module);
    return CUDA_SUCCESS;
  };
  api.cuModuleGetFunction = [](CUfunction* function, CUmodule module, const char* name) {
    const LtHostKernel* kernel = reinterpret_cast<HostObject*>(module)->find(name);
    *function = reinterpret_cast<CUfunction>(const_cast<LtHostKernel*>(kernel));
    return kernel ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
  };
  api.cuFuncSetAttribute = [](CUfunction, CUfunction_attribute, int) { return CUDA_SUCCESS; };
  api.cuLaunchKernel = [](CUfunction function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                          unsigned bz, unsigned shared, CUstream, void** params, void**) {
    const LtHostLaunch launch{{gx, gy, gz}, {bx, by, bz}, shared, params};
    reinterpret_cast<const LtHostKernel*>(function)->run(&launch);
    return CUDA_SUCCESS;
  };
  return api;
}

// Memory with the alignment of a device allocation whose last byte is followed by an unmapped page, so that every
// access past the rounded-up end faults.
class DeviceMemory {
 public:
  explicit DeviceMemory(std::size_t bytes);
  ~DeviceMemory();
  DeviceMemory(DeviceMemory&& other) noexcept : base_(other.base_), mapped_(other.mapped_), data_(other.data_) {
    other.base_ = nullptr;
  }
  DeviceMemory& operator=(DeviceMemory&&) = delete;

  uint8_t* data() const { return data_; }
  CUdeviceptr address() const { return reinterpret_cast<CUdeviceptr>(data_); }

 private:
  void* base_;
  std::size_t mapped_;
  uint8_t* data_;
};

using Bytes = std::vector<uint8_t>;

// One allocation on the way through the codec.
struct Allocation {
  explicit Allocation(const Bytes& bytes)
      : raw(bytes.size()), plan(Codec::plan_bytes(bytes.size())), raw_bytes(bytes.size()) {
    std::memcpy(raw.data(), bytes.data(), bytes.size());
    std::memset(plan.data() + kScratchBytes, 0xA5, Codec::plan_bytes(bytes.size()) - kScratchBytes);
  }
  Job job() {
    result = {};
    return {raw.address(), raw_bytes,      blob ? blob->address() : 0,
            blob_capacity, plan.address(), reinterpret_cast<CUdeviceptr>(&result)};
  }
  void make_blob(uint64_t capacity) {
    blob = std::make_unique<DeviceMemory>(capacity);
    blob_capacity = capacity;
    std::memset(blob->data(), 0xC3, capacity);
  }
  Bytes raw_copy() const { return {raw.data(), raw.data() + raw_bytes}; }
  Bytes blob_copy() const { return {blob->data(), blob->data() + blob_capacity}; }

  DeviceMemory raw, plan;
  std::unique_ptr<DeviceMemory> blob;
  uint64_t raw_bytes, blob_capacity = 0;
  Result result{};
};

class CodecTest : public ::testing::Test {
 protected:
  static constexpr CodecMask kAll = ~0u;

  void SetUp() override {
    auto loaded = Codec::load(host_driver(), LORETOKEN_KERNELS_MODULE);
    ASSERT_TRUE(loaded.codec) << loaded.failed;
    codec_ = std::move(loaded.codec);
  }
  // analyse and pack into a blob of exactly the size the analysis names.
  void pack(Allocation& a, CodecMask allowed = kAll);
  // All of pack, verify, unpack into poisoned memory, unchanged, and the reference decoder; returns the blob.
  Bytes round_trip(const Bytes& bytes, CodecMask allowed = kAll);

  std::unique_ptr<Codec> codec_;
  Result packed_{};  // of the last pack
};

// Test data. All deterministic.
Bytes random_bytes(std::size_t count, uint32_t seed);
// Little-endian values with Gaussian distribution: "bf16", "fp16" or "fp32".
Bytes gaussian(std::size_t values, ElementType type, uint32_t seed);
Bytes read_file(const std::string& name);  // of tests/data

}  // namespace loretoken

#endif  // LORETOKEN_TESTS_CODEC_FIXTURE_H
