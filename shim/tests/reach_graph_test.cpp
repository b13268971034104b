// Graphs under the strict check: what they reach is raw at each launch, and what the driver looks up while they are
// made is mapped.
#include "reach_driver_fixture.h"

namespace loretoken {
namespace {

TEST_F(ReachDriver, GraphsReachTheUnionOfTheirNodes) {
  const CUdeviceptr holder = allocate();
  const CUdeviceptr target = allocate();
  const CUdeviceptr other = allocate();
  ASSERT_EQ(hooks::cuStreamBeginCapture_v2(stream_, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL, false), CUDA_SUCCESS);
  launch("reach_through", holder, uint32_t{0}, uint64_t{19});
  launch("reach_write", other, uint64_t{20});
  CUgraph graph = nullptr;
  ASSERT_EQ(hooks::cuStreamEndCapture(stream_, &graph, false), CUDA_SUCCESS);
  CUgraphExec exec = nullptr;
  ASSERT_EQ(hooks::cuGraphInstantiateWithFlags(&exec, graph, 0), CUDA_SUCCESS);
  EXPECT_EQ(hooks::cuMemcpyHtoD_v2(holder, &target, sizeof(target), false), CUDA_SUCCESS);
  EXPECT_EQ(hooks::cuGraphLaunch(exec, stream_, false), CUDA_SUCCESS);
  EXPECT_EQ(first_word(target), 19U);
  EXPECT_EQ(first_word(other), 20U);
  EXPECT_EQ(hooks::cuGraphExecDestroy(exec), CUDA_SUCCESS);
}

// Between operations nothing is mapped here, and the driver refuses to capture a copy of what is not.
TEST_F(ReachDriver, CapturedCopiesAndSetsFindTheirMemory) {
  const CUdeviceptr a = allocate();
  const CUdeviceptr b = allocate();
  launch("reach_write", a, uint64_t{31});
  launch("reach_write", allocate(), uint64_t{1});  // now the others are unmapped
  ASSERT_EQ(hooks::cuStreamBeginCapture_v2(stream_, CU_STREAM_CAPTURE_MODE_GLOBAL, false), CUDA_SUCCESS);
  EXPECT_EQ(hooks::cuMemcpyDtoDAsync_v2(b, a, 8, stream_, false), CUDA_SUCCESS);
  EXPECT_EQ(hooks::cuMemsetD32Async(a, 7, 2, stream_, false), CUDA_SUCCESS);
  CUgraph graph = nullptr;
  ASSERT_EQ(hooks::cuStreamEndCapture(stream_, &graph, false), CUDA_SUCCESS);
  launch("reach_write", allocate(), uint64_t{1});
  CUgraphExec exec = nullptr;
  ASSERT_EQ(hooks::cuGraphInstantiateWithFlags(&exec, graph, 0), CUDA_SUCCESS);
  launch("reach_write", allocate(), uint64_t{1});
  EXPECT_EQ(hooks::cuGraphLaunch(exec, stream_, false), CUDA_SUCCESS);
  EXPECT_EQ(first_word(b), 31U);
  EXPECT_EQ(first_word(a), 0x700000007U);
}

TEST_F(ReachDriver, NodesAreAddedAndChangedWithTheirMemoryMapped) {
  const CUdeviceptr a = allocate();
  const CUdeviceptr b = allocate();
  const CUdeviceptr c = allocate();
  launch("reach_write", a, uint64_t{32});
  launch("reach_write", allocate(), uint64_t{1});
  CUgraph graph = nullptr;
  CUgraphNode node = nullptr;
  CUcontext context = nullptr;
  ASSERT_EQ(driver().cuCtxGetCurrent(&context), CUDA_SUCCESS);
  ASSERT_EQ(driver().cuGraphCreate(&graph, 0), CUDA_SUCCESS);
  CUDA_MEMCPY3D copy{};
  copy.srcMemoryType = copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.srcDevice = a;
  copy.dstDevice = b;
  copy.WidthInBytes = 8;
  copy.Height = copy.Depth = 1;
  ASSERT_EQ(hooks::cuGraphAddMemcpyNode(&node, graph, nullptr, 0, &copy, context), CUDA_SUCCESS);
  CUgraphExec exec = nullptr;
  ASSERT_EQ(hooks::cuGraphInstantiateWithFlags(&exec, graph, 0), CUDA_SUCCESS);
  launch("reach_write", allocate(), uint64_t{1});
  copy.dstDevice = c;
  EXPECT_EQ(hooks::cuGraphExecMemcpyNodeSetParams(exec, node, &copy, context), CUDA_SUCCESS);
  EXPECT_EQ(hooks::cuGraphLaunch(exec, stream_, false), CUDA_SUCCESS);
  EXPECT_EQ(first_word(c), 32U);
}

// A graph's own memory is mapped only while the graph runs: nobody may read it to find out what it carries.
TEST_F(ReachDriver, CopiesOutOfAGraphsOwnMemory) {
  const CUdeviceptr result = allocate();
  ASSERT_EQ(hooks::cuStreamBeginCapture_v2(stream_, CU_STREAM_CAPTURE_MODE_GLOBAL, false), CUDA_SUCCESS);
  CUdeviceptr own = 0;
  ASSERT_EQ(hooks::cuMemAllocAsync(&own, kBytes, stream_, false), CUDA_SUCCESS);
  launch("reach_write", own, uint64_t{33});
  EXPECT_EQ(hooks::cuMemcpyAsync(result, own, 8, stream_, false), CUDA_SUCCESS);
  EXPECT_EQ(hooks::cuMemFreeAsync(own, stream_, false), CUDA_SUCCESS);
  CUgraph graph = nullptr;
  ASSERT_EQ(hooks::cuStreamEndCapture(stream_, &graph, false), CUDA_SUCCESS);
  CUgraphExec exec = nullptr;
  ASSERT_EQ(hooks::cuGraphInstantiateWithFlags(&exec, graph, 0), CUDA_SUCCESS);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(hooks::cuGraphLaunch(exec, stream_, false), CUDA_SUCCESS);
  EXPECT_EQ(first_word(result), 33U);
}

}  // namespace
}  // namespace loretoken
