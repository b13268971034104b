// Hooks on the simulator under LORETOKEN_CHECK=strict: what is outside a reach set is unmapped, so that a missed
// pointer faults. Each test runs in a process of its own.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "hooks/hooks.h"
#include "memory/page_table.h"
#include "reach/core.h"
#include "report/counters.h"
#include "runtime/runtime.h"

namespace loretoken {

inline constexpr size_t kBytes = size_t{4} << 20;

class ReachDriver : public ::testing::Test {
 protected:
  void SetUp() override {
    setenv("LORETOKEN_CHECK", "strict", 1);
    setenv("LORETOKEN_KERNELS", LORETOKEN_SIM_KERNELS, 1);
    setenv("LORETOKEN_SIM_DEVICES", "1GiB", 1);
    ASSERT_TRUE(load_driver(LORETOKEN_SIM_DRIVER));
    ASSERT_EQ(driver().cuInit(0), CUDA_SUCCESS);
    CUcontext context = nullptr;
    ASSERT_EQ(driver().cuDevicePrimaryCtxRetain(&context, 0), CUDA_SUCCESS);
    ASSERT_EQ(driver().cuCtxSetCurrent(context), CUDA_SUCCESS);
    ASSERT_EQ(driver().cuModuleLoad(&module_, REACH_TEST_KERNELS), CUDA_SUCCESS);
    ASSERT_EQ(driver().cuStreamCreate(&stream_, CU_STREAM_NON_BLOCKING), CUDA_SUCCESS);
  }

  CUfunction function(const char* name) {
    CUfunction found = nullptr;
    EXPECT_EQ(driver().cuModuleGetFunction(&found, module_, name), CUDA_SUCCESS) << name;
    return found;
  }

  CUdeviceptr allocate(size_t bytes = kBytes) {
    CUdeviceptr at = 0;
    EXPECT_EQ(hooks::cuMemAlloc_v2(&at, bytes), CUDA_SUCCESS);
    EXPECT_TRUE(window().contains(at)) << "not served by the shim";
    EXPECT_EQ(hooks::cuMemsetD8_v2(at, 0, bytes, false), CUDA_SUCCESS);
    return at;
  }

  template <class... A>
  void launch(const char* name, A... arguments) {
    void* params[] = {&arguments...};
    EXPECT_EQ(hooks::cuLaunchKernel(function(name), 1, 1, 1, 1, 1, 1, 0, stream_, params, nullptr, false), CUDA_SUCCESS)
        << name;
  }

  // The first word at an address, once all is done: no fault happened.
  uint64_t first_word(CUdeviceptr at) {
    EXPECT_EQ(driver().cuStreamSynchronize(stream_), CUDA_SUCCESS) << "a kernel touched what it was not known to reach";
    uint64_t value = 0;
    EXPECT_EQ(hooks::cuMemcpyDtoH_v2(&value, at, sizeof(value), false), CUDA_SUCCESS);
    return value;
  }

  CUmodule module_ = nullptr;
  CUstream stream_ = nullptr;
};

}  // namespace loretoken
