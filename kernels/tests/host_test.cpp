// The CUDA-on-CPU layer: barriers, collectives, shared memory, parameter layout.
#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "host_object.h"

namespace loretoken {
namespace {

class HostLayer : public ::testing::Test {
 protected:
  HostObject object_{LORETOKEN_TEST_KERNELS};
};

TEST_F(HostLayer, ParameterLayoutFollowsAlignment) {
  const LtHostKernel& kernel = object_.kernel("test_block_sum");
  ASSERT_EQ(kernel.param_count, 3u);
  EXPECT_EQ(kernel.params[0].offset, 0u);
  EXPECT_EQ(kernel.params[0].size, 1u);
  EXPECT_EQ(kernel.params[1].offset, 8u);
  EXPECT_EQ(kernel.params[2].offset, 16u);
  EXPECT_EQ(kernel.params[2].size, 8u);
}

TEST_F(HostLayer, PlainKernelRunsEveryThreadAndCountsInAGlobal) {
  std::vector<float> data(1000, 2.0f);
  object_.launch("test_scale", {4, 1, 1}, {256, 1, 1}, 0, data.data(), 3.0f, uint32_t{1000});
  EXPECT_EQ(data, std::vector<float>(1000, 6.0f));
  EXPECT_EQ(*static_cast<const uint32_t*>(object_.global("test_hits").address), 1000u);
}

TEST_F(HostLayer, BlockSumWithPartialWarp) {
  for (uint32_t threads : {1u, 31u, 32u, 33u, 257u, 1024u}) {
    std::vector<uint32_t> in(threads * 3);
    std::iota(in.begin(), in.end(), 0u);
    std::vector<uint64_t> out(3);
    object_.launch("test_block_sum", {3, 1, 1}, {threads, 1, 1}, 0, uint8_t{1}, in.data(), out.data());
    for (uint64_t b = 0; b < 3; ++b) {
      const uint64_t expected =
          std::accumulate(in.begin() + b * threads, in.begin() + (b + 1) * threads, uint64_t{threads});
      EXPECT_EQ(out[b], expected) << threads;
    }
  }
}

TEST_F(HostLayer, WarpScanWithOtherWarpsGone) {
  std::vector<uint32_t> data(32, 1);
  object_.launch("test_warp_scan", {1, 1, 1}, {128, 1, 1}, 0, data.data());
  for (uint32_t i = 0; i < 32; ++i) EXPECT_EQ(data[i], i + 1);
}

TEST_F(HostLayer, HalvesOfAWarpDivergeAndMeet) {
  std::vector<uint32_t> out(32);
  object_.launch("test_divergent", {1, 1, 1}, {32, 1, 1}, 0, out.data());
  for (uint32_t lane = 0; lane < 16; ++lane) EXPECT_EQ(out[lane], (lane ^ 1) + 0xAAAAu + 31);
  for (uint32_t lane = 16; lane < 32; ++lane) EXPECT_EQ(out[lane], 4u + 31);
}

// Shared memory and fibers belong to the calling thread, so launches of several streams do not meet.
TEST_F(HostLayer, ThreadsLaunchAtTheSameTime) {
  auto work = [&](uint32_t seed) {
    std::vector<uint32_t> in(512 * 8, seed);
    std::vector<uint64_t> out(8);
    for (int i = 0; i < 50; ++i) {
      object_.launch("test_block_sum", {8, 1, 1}, {512, 1, 1}, 0, uint8_t{0}, in.data(), out.data());
      for (uint64_t sum : out) EXPECT_EQ(sum, 512ull * seed);
    }
  };
  std::thread other(work, 3);
  work(5);
  other.join();
}

TEST_F(HostLayer, DynamicSharedMemory) {
  std::vector<uint32_t> out(200);
  object_.launch("test_dynamic_shared", {2, 1, 1}, {200, 1, 1}, 800, out.data());
  for (uint32_t i = 0; i < 200; ++i) EXPECT_EQ(out[i], (199 - i) * (199 - i));
}

}  // namespace
}  // namespace loretoken
