// Capture and graphs.
#include <thread>

#include "fixture.h"

namespace loretoken::sim::testing {

class GraphTest : public DriverTest {
 protected:
  void SetUp() override {
    DriverTest::SetUp();
    OK(cuMemAlloc(&data_, 4096));
    OK(cuMemsetD8(data_, 0, 4096));
    OK(cuCtxSynchronize());
    OK(cuStreamCreate(&one_, CU_STREAM_NON_BLOCKING));
    OK(cuStreamCreate(&two_, CU_STREAM_NON_BLOCKING));
    OK(cuEventCreate(&event_, CU_EVENT_DISABLE_TIMING));
  }
  CUstreamCaptureStatus status(CUstream stream) {
    CUstreamCaptureStatus status{};
    EXPECT_EQ(CUDA_SUCCESS, cuStreamIsCapturing(stream, &status));
    return status;
  }
  CUdeviceptr data_ = 0;
  CUstream one_ = nullptr, two_ = nullptr;
  CUevent event_ = nullptr;
  CUgraph graph_ = nullptr;
  CUgraphExec exec_ = nullptr;
};

TEST_F(GraphTest, CapturedWorkRunsAtLaunchOnly) {
  OK(cuStreamBeginCapture(one_, CU_STREAM_CAPTURE_MODE_GLOBAL));
  OK(add(data_, 1, 1, one_));
  OK(add(data_, 1, 1, one_));
  OK(cuStreamEndCapture(one_, &graph_));
  OK(cuCtxSynchronize());
  EXPECT_EQ(0u, read(data_));
  size_t nodes = 0, edges = 0;
  OK(cuGraphGetNodes(graph_, nullptr, &nodes));
  OK(cuGraphGetEdges(graph_, nullptr, nullptr, nullptr, &edges));
  EXPECT_EQ(2u, nodes);
  EXPECT_EQ(1u, edges);
  OK(cuGraphInstantiate(&exec_, graph_, 0));
  OK(cuGraphLaunch(exec_, one_));
  OK(cuGraphLaunch(exec_, two_));  // never beside itself
  OK(cuCtxSynchronize());
  EXPECT_EQ(4u, read(data_));
}

TEST_F(GraphTest, ForkAndJoinByEvents) {
  CUevent joined = nullptr;
  OK(cuEventCreate(&joined, CU_EVENT_DISABLE_TIMING));
  OK(cuStreamBeginCapture(one_, CU_STREAM_CAPTURE_MODE_GLOBAL));
  OK(add(data_, 1, 1, one_));
  OK(cuEventRecord(event_, one_));
  OK(cuStreamWaitEvent(two_, event_, 0));
  EXPECT_EQ(CU_STREAM_CAPTURE_STATUS_ACTIVE, status(two_));
  OK(add(data_ + 64, 1, 1, two_));
  OK(cuEventRecord(joined, two_));
  OK(cuStreamWaitEvent(one_, joined, 0));
  OK(add(data_, 1, 1, one_));
  OK(cuStreamEndCapture(one_, &graph_));
  EXPECT_EQ(CU_STREAM_CAPTURE_STATUS_NONE, status(two_));
  size_t edges = 0;
  OK(cuGraphGetEdges(graph_, nullptr, nullptr, nullptr, &edges));
  EXPECT_EQ(3u, edges);
}

TEST_F(GraphTest, AForkMustBeJoined) {
  OK(cuStreamBeginCapture(one_, CU_STREAM_CAPTURE_MODE_GLOBAL));
  OK(cuEventRecord(event_, one_));
  OK(cuStreamWaitEvent(two_, event_, 0));
  OK(add(data_, 1, 1, two_));
  EXPECT_EQ(CUDA_ERROR_STREAM_CAPTURE_UNJOINED, cuStreamEndCapture(one_, &graph_));
}

TEST_F(GraphTest, SynchronisingACapturingStreamKillsTheCapture) {
  OK(cuStreamBeginCapture(one_, CU_STREAM_CAPTURE_MODE_RELAXED));
  EXPECT_EQ(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuStreamSynchronize(one_));
  EXPECT_EQ(CU_STREAM_CAPTURE_STATUS_INVALIDATED, status(one_));
  EXPECT_EQ(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, add(data_, 1, 1, one_));
  EXPECT_EQ(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(one_, &graph_));
  EXPECT_EQ(CU_STREAM_CAPTURE_STATUS_NONE, status(one_));
  OK(cuStreamBeginCapture(one_, CU_STREAM_CAPTURE_MODE_RELAXED));
  EXPECT_EQ(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuCtxSynchronize());
  EXPECT_EQ(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(one_, &graph_));
}

TEST_F(GraphTest, UnsafeCallsDependOnTheModes) {
  CUdeviceptr other = 0;
  auto allocate_elsewhere = [&](CUresult expected) {
    std::thread([&] {
      CUdeviceptr memory = 0;
      OK(cuCtxSetCurrent(ctx_));
      EXPECT_EQ(expected, cuMemAlloc(&memory, 16));
    }).join();
  };
  OK(cuStreamBeginCapture(one_, CU_STREAM_CAPTURE_MODE_GLOBAL));
  allocate_elsewhere(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  EXPECT_EQ(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(one_, &graph_));

  OK(cuStreamBeginCapture(one_, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
  allocate_elsewhere(CUDA_SUCCESS);
  EXPECT_EQ(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuMemAlloc(&other, 16));
  EXPECT_EQ(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(one_, &graph_));

  OK(cuStreamBeginCapture(one_, CU_STREAM_CAPTURE_MODE_GLOBAL));
  CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
  OK(cuThreadExchangeStreamCaptureMode(&mode));
  OK(cuMemAlloc(&other, 16));
  OK(cuThreadExchangeStreamCaptureMode(&mode));
  EXPECT_EQ(CU_STREAM_CAPTURE_MODE_RELAXED, mode);
  OK(cuStreamEndCapture(one_, &graph_));
}

TEST_F(GraphTest, SynchronousCopiesAreSafeAndQuestionsAreNot) {
  CUstreamCaptureMode relaxed = CU_STREAM_CAPTURE_MODE_RELAXED;
  uint32_t value = 7;
  OK(cuStreamBeginCapture(one_, CU_STREAM_CAPTURE_MODE_GLOBAL));
  OK(cuMemcpyHtoD(data_, &value, 4));
  OK(cuMemsetD32(data_ + 4, 8, 1));
  OK(cuThreadExchangeStreamCaptureMode(&relaxed));
  OK(cuStreamQuery(two_));
  OK(cuThreadExchangeStreamCaptureMode(&relaxed));
  EXPECT_EQ(CU_STREAM_CAPTURE_STATUS_ACTIVE, status(one_));
  EXPECT_EQ(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuStreamQuery(two_));
  EXPECT_EQ(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(one_, &graph_));
}

TEST_F(GraphTest, TheLegacyStreamMayNotDependOnACapture) {
  CUstream blocking = nullptr;
  OK(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
  OK(cuStreamBeginCapture(blocking, CU_STREAM_CAPTURE_MODE_RELAXED));
  EXPECT_EQ(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, add(data_, 1, 1, nullptr));
  EXPECT_EQ(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(blocking, &graph_));
  EXPECT_EQ(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
            cuStreamBeginCapture(CU_STREAM_LEGACY, CU_STREAM_CAPTURE_MODE_GLOBAL));
}

TEST_F(GraphTest, CapturedEventsCannotBeAsked) {
  OK(cuStreamBeginCapture(one_, CU_STREAM_CAPTURE_MODE_RELAXED));
  OK(cuEventRecord(event_, one_));
  EXPECT_EQ(CUDA_ERROR_CAPTURED_EVENT, cuEventQuery(event_));
  EXPECT_EQ(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(one_, &graph_));
}

TEST_F(GraphTest, KernelParametersAreCopiedAndCanBeChanged) {
  OK(cuGraphCreate(&graph_, 0));
  CUdeviceptr address = data_;
  uint32_t value = 3;
  uint64_t count = 1;
  void* params[] = {&address, &value, &count};
  CUDA_KERNEL_NODE_PARAMS kernel{};
  kernel.func = add_;
  kernel.gridDimX = kernel.gridDimY = kernel.gridDimZ = kernel.blockDimX = kernel.blockDimY = kernel.blockDimZ = 1;
  kernel.kernelParams = params;
  CUgraphNode node = nullptr;
  OK(cuGraphAddKernelNode(&node, graph_, nullptr, 0, &kernel));
  value = 100;
  CUDA_KERNEL_NODE_PARAMS seen{};
  OK(cuGraphKernelNodeGetParams(node, &seen));
  EXPECT_EQ(3u, *static_cast<uint32_t*>(seen.kernelParams[1]));
  EXPECT_EQ(data_, *static_cast<CUdeviceptr*>(seen.kernelParams[0]));
  OK(cuGraphInstantiate(&exec_, graph_, 0));
  OK(cuGraphLaunch(exec_, one_));
  OK(cuGraphExecKernelNodeSetParams(exec_, node, &kernel));
  OK(cuGraphLaunch(exec_, one_));
  OK(cuGraphExecKernelNodeSetParams(exec_, node, &kernel));  // a second time: the node is still found
  OK(cuStreamSynchronize(one_));
  EXPECT_EQ(103u, read(data_));
}

TEST_F(GraphTest, UpdateTakesTheSameShapeOnly) {
  auto capture = [&](uint32_t value, int count) {
    CUgraph graph = nullptr;
    EXPECT_EQ(CUDA_SUCCESS, cuStreamBeginCapture(one_, CU_STREAM_CAPTURE_MODE_GLOBAL));
    for (int i = 0; i < count; ++i) EXPECT_EQ(CUDA_SUCCESS, add(data_, value, 1, one_));
    EXPECT_EQ(CUDA_SUCCESS, cuStreamEndCapture(one_, &graph));
    return graph;
  };
  OK(cuGraphInstantiate(&exec_, capture(1, 2), 0));
  CUgraphExecUpdateResultInfo info{};
  OK(cuGraphExecUpdate(exec_, capture(10, 2), &info));
  EXPECT_EQ(CU_GRAPH_EXEC_UPDATE_SUCCESS, info.result);
  OK(cuGraphLaunch(exec_, one_));
  OK(cuStreamSynchronize(one_));
  EXPECT_EQ(20u, read(data_));
  EXPECT_EQ(CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE, cuGraphExecUpdate(exec_, capture(1, 3), &info));
  EXPECT_EQ(CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED, info.result);
}

TEST_F(GraphTest, GraphsOwnWhatIsAllocatedInThem) {
  CUdeviceptr inside = 0;
  OK(cuStreamBeginCapture(one_, CU_STREAM_CAPTURE_MODE_GLOBAL));
  OK(cuMemAllocAsync(&inside, kPage, one_));
  OK(cuMemsetD32Async(inside, 5, 1, one_));
  OK(cuMemcpyDtoDAsync(data_, inside, 4, one_));
  OK(cuMemFreeAsync(inside, one_));
  OK(cuStreamEndCapture(one_, &graph_));
  size_t before = 0, during = 0, total = 0;
  OK(cuMemGetInfo(&before, &total));
  OK(cuGraphInstantiate(&exec_, graph_, 0));
  OK(cuMemGetInfo(&during, &total));
  EXPECT_EQ(before - kChunk, during);
  CUgraphExec second = nullptr;
  EXPECT_EQ(CUDA_ERROR_NOT_SUPPORTED, cuGraphInstantiate(&second, graph_, 0));  // two would make the same memory
  for (int i = 0; i < 3; ++i) OK(cuGraphLaunch(exec_, one_));
  OK(cuStreamSynchronize(one_));
  EXPECT_EQ(5u, read(data_));
  OK(cuGraphExecDestroy(exec_));
  OK(cuGraphDestroy(graph_));
  OK(cuMemGetInfo(&during, &total));
  EXPECT_EQ(before, during);
}

TEST_F(GraphTest, BranchesWithoutAnEdgeRunInAnyOrder) {
  // y = (x + 1) in one branch, x set in another: under some launch the order differs.
  OK(cuGraphCreate(&graph_, 0));
  CUgraphNode node = nullptr;
  CUDA_MEMSET_NODE_PARAMS set{data_, 0, 1, 4, 1, 1};
  OK(cuGraphAddMemsetNode(&node, graph_, nullptr, 0, &set, ctx_));
  set.value = 2;
  OK(cuGraphAddMemsetNode(&node, graph_, nullptr, 0, &set, ctx_));
  OK(cuGraphInstantiate(&exec_, graph_, 0));
  bool seen[3] = {};
  for (int i = 0; i < 64; ++i) {
    OK(cuGraphLaunch(exec_, one_));
    OK(cuStreamSynchronize(one_));
    seen[read(data_) % 3] = true;
  }
  EXPECT_TRUE(seen[1] && seen[2]);
}

}  // namespace loretoken::sim::testing
