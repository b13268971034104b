// What every test of the simulated driver starts from: an initialised driver, a context, the test module.
#ifndef LORETOKEN_SIM_TESTS_FIXTURE_H
#define LORETOKEN_SIM_TESTS_FIXTURE_H

#include <cuda.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace loretoken::sim::testing {

#define OK(call) ASSERT_EQ(CUDA_SUCCESS, (call))

inline constexpr size_t kPage = 2u << 20;
inline constexpr size_t kChunk = 32u << 20;  // what pools and graphs reserve at once

class DriverTest : public ::testing::Test {
 protected:
  void SetUp() override {
    OK(cuInit(0));
    OK(cuCtxCreate(&ctx_, nullptr, 0, 0));
    OK(cuModuleLoad(&module_, LORETOKEN_TEST_MODULE));
    OK(cuModuleGetFunction(&add_, module_, "add"));
    OK(cuModuleGetFunction(&slow_add_, module_, "slow_add"));
  }
  void TearDown() override { cuCtxDestroy(ctx_); }

  CUresult add(CUdeviceptr data, uint32_t value, uint64_t count, CUstream stream) {
    void* params[] = {&data, &value, &count};
    return cuLaunchKernel(add_, static_cast<unsigned>((count + 255) / 256), 1, 1, 256, 1, 1, 0, stream, params,
                          nullptr);
  }
  CUresult slow_add(CUdeviceptr data, uint32_t value, uint32_t microseconds, CUstream stream) {
    void* params[] = {&data, &value, &microseconds};
    return cuLaunchKernel(slow_add_, 1, 1, 1, 1, 1, 1, 0, stream, params, nullptr);
  }
  uint32_t read(CUdeviceptr address) {
    uint32_t value = 0;
    EXPECT_EQ(CUDA_SUCCESS, cuMemcpyDtoH(&value, address, 4));
    return value;
  }
  static CUmemAllocationProp device_memory(int device = 0) {
    CUmemAllocationProp prop{};
    prop.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    prop.location = {CU_MEM_LOCATION_TYPE_DEVICE, device};
    return prop;
  }
  static CUmemAccessDesc read_write(int device = 0) {
    return {{CU_MEM_LOCATION_TYPE_DEVICE, device}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
  }

  CUcontext ctx_ = nullptr;
  CUmodule module_ = nullptr;
  CUfunction add_ = nullptr, slow_add_ = nullptr;
};

}  // namespace loretoken::sim::testing

#endif  // LORETOKEN_SIM_TESTS_FIXTURE_H
