// What must hold while the mover takes memory away and brings it back: peers keep their access, captures live on.
#include <gtest/gtest.h>

#include <vector>

#include "driver/driver.h"
#include "hooks/hooks.h"
#include "memory/page_table.h"
#include "memory_sizes.h"
#include "runtime/runtime.h"

namespace loretoken {
namespace {

constexpr uint64_t kBytes = 16 * kMiB;

class MemoryPressure : public testing::Test {
 protected:
  void SetUp() override {
    setenv("LORETOKEN_LIMIT", "96MiB", 1);
    setenv("LORETOKEN_VIRTUAL", "512MiB", 1);
    setenv("LORETOKEN_HOST", "512MiB", 1);
    setenv("LORETOKEN_KERNELS", LORETOKEN_SIM_KERNELS, 1);
    setenv("LORETOKEN_SIM_DEVICES", "256MiB,256MiB", 1);
    ASSERT_TRUE(load_driver(LORETOKEN_SIM_DRIVER));
    ASSERT_EQ(driver().cuInit(0), CUDA_SUCCESS);
    ASSERT_EQ(driver().cuDevicePrimaryCtxRetain(&second_, 1), CUDA_SUCCESS);
    ASSERT_EQ(driver().cuDevicePrimaryCtxRetain(&first_, 0), CUDA_SUCCESS);
    ASSERT_EQ(driver().cuCtxSetCurrent(first_), CUDA_SUCCESS);
    ASSERT_EQ(driver().cuStreamCreate(&stream_, CU_STREAM_NON_BLOCKING), CUDA_SUCCESS);
  }

  CUdeviceptr allocate(uint32_t value) {
    CUdeviceptr at = 0;
    EXPECT_EQ(hooks::cuMemAlloc_v2(&at, kBytes), CUDA_SUCCESS);
    EXPECT_TRUE(window().contains(at)) << "not served by the shim";
    EXPECT_EQ(hooks::cuMemsetD32Async(at, value, kBytes / 4, stream_, false), CUDA_SUCCESS);
    return at;
  }
  // Four times the limit: what was there before is packed.
  std::vector<CUdeviceptr> press() {
    std::vector<CUdeviceptr> all;
    for (uint32_t i = 0; i < 24; ++i) all.push_back(allocate(i));
    return all;
  }
  static UnitState state_of(CUdeviceptr at) { return unit_at(at)->state.load(std::memory_order_acquire); }
  uint32_t word_at(CUdeviceptr at) {
    uint32_t word = 0;
    EXPECT_EQ(hooks::cuMemcpyDtoH_v2(&word, at, sizeof word, false), CUDA_SUCCESS);
    return word;
  }
  bool second_may_write(CUdeviceptr at) {
    const CUmemLocation where = {CU_MEM_LOCATION_TYPE_DEVICE, 1};
    unsigned long long access = 0;
    return driver().cuMemGetAccess(&access, &where, at) == CUDA_SUCCESS && access == CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
  }

  CUcontext first_ = nullptr;
  CUcontext second_ = nullptr;
  CUstream stream_ = nullptr;
};

TEST_F(MemoryPressure, APeerReachesWhatWasMappedBeforeAndWhatIsMappedAgain) {
  const CUdeviceptr before = allocate(7);
  EXPECT_FALSE(second_may_write(before));
  ASSERT_EQ(driver().cuCtxSetCurrent(second_), CUDA_SUCCESS);
  ASSERT_EQ(hooks::cuCtxEnablePeerAccess(first_, 0), CUDA_SUCCESS);
  ASSERT_EQ(driver().cuCtxSetCurrent(first_), CUDA_SUCCESS);
  EXPECT_TRUE(second_may_write(before));
  press();
  ASSERT_NE(state_of(before), UnitState::kRaw) << "was to be packed";
  EXPECT_EQ(word_at(before), 7u);
  EXPECT_TRUE(second_may_write(before));
  EXPECT_TRUE(second_may_write(allocate(1)));
  ASSERT_EQ(driver().cuCtxSetCurrent(second_), CUDA_SUCCESS);
  ASSERT_EQ(hooks::cuCtxDisablePeerAccess(first_), CUDA_SUCCESS);
  EXPECT_FALSE(second_may_write(before));
}

TEST_F(MemoryPressure, ACaptureInTheStrictestModeLivesOn) {
  const CUdeviceptr from = allocate(7);
  const CUdeviceptr to = allocate(8);
  CUstream captured = nullptr;
  ASSERT_EQ(driver().cuStreamCreate(&captured, CU_STREAM_NON_BLOCKING), CUDA_SUCCESS);
  ASSERT_EQ(hooks::cuStreamBeginCapture_v2(captured, CU_STREAM_CAPTURE_MODE_GLOBAL, false), CUDA_SUCCESS);
  ASSERT_EQ(hooks::cuMemcpyDtoDAsync_v2(to, from, kBytes, captured, false), CUDA_SUCCESS);
  // Asynchronous allocation is what a program may do meanwhile; room for it has to be made.
  std::vector<CUdeviceptr> others(24);
  for (CUdeviceptr& other : others) {
    ASSERT_EQ(hooks::cuMemAllocAsync(&other, kBytes, stream_, false), CUDA_SUCCESS);
    ASSERT_EQ(hooks::cuMemsetD32Async(other, 9, kBytes / 4, stream_, false), CUDA_SUCCESS);
  }
  CUgraph graph = nullptr;
  ASSERT_EQ(hooks::cuStreamEndCapture(captured, &graph, false), CUDA_SUCCESS) << "the capture was broken";
  CUgraphExec exec = nullptr;
  ASSERT_EQ(hooks::cuGraphInstantiateWithFlags(&exec, graph, 0), CUDA_SUCCESS);
  ASSERT_EQ(hooks::cuGraphLaunch(exec, captured, false), CUDA_SUCCESS);
  ASSERT_EQ(driver().cuStreamSynchronize(captured), CUDA_SUCCESS);
  EXPECT_EQ(word_at(to), 7u);
  EXPECT_EQ(word_at(others.front()), 9u);
}

}  // namespace
}  // namespace loretoken
