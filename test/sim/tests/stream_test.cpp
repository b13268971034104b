// Order, races, events, host functions, default streams.
#include <atomic>
#include <chrono>
#include <thread>

#include "fixture.h"

namespace loretoken::sim::testing {

class StreamTest : public DriverTest {
 protected:
  void SetUp() override {
    DriverTest::SetUp();
    OK(cuMemAlloc(&data_, 4096));
    OK(cuMemsetD8(data_, 0, 4096));
    OK(cuCtxSynchronize());
    OK(cuStreamCreate(&one_, CU_STREAM_NON_BLOCKING));
    OK(cuStreamCreate(&two_, CU_STREAM_NON_BLOCKING));
  }
  CUdeviceptr data_ = 0;
  CUstream one_ = nullptr, two_ = nullptr;
};

TEST_F(StreamTest, WorkOfOneStreamKeepsItsOrder) {
  for (int i = 0; i < 200; ++i) OK(add(data_, 1, 1, one_));
  OK(cuStreamSynchronize(one_));
  EXPECT_EQ(200u, read(data_));
}

TEST_F(StreamTest, AMissingWaitRaces) {
  // Both read the word before either writes it.
  OK(slow_add(data_, 1, 50000, one_));
  OK(slow_add(data_, 1, 50000, two_));
  OK(cuCtxSynchronize());
  EXPECT_EQ(1u, read(data_));
}

TEST_F(StreamTest, AnEventWaitOrdersTwoStreams) {
  CUevent event = nullptr;
  OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
  OK(slow_add(data_, 1, 20000, one_));
  OK(cuEventRecord(event, one_));
  OK(cuStreamWaitEvent(two_, event, 0));
  OK(slow_add(data_, 1, 0, two_));
  OK(cuStreamSynchronize(two_));
  EXPECT_EQ(2u, read(data_));
}

TEST_F(StreamTest, AWaitTakesTheRecordOfItsCall) {
  CUevent event = nullptr;
  OK(cuEventCreate(&event, 0));
  OK(cuStreamWaitEvent(two_, event, 0));  // never recorded: nothing to wait for
  OK(cuStreamSynchronize(two_));
  OK(cuEventRecord(event, one_));
  OK(cuStreamWaitEvent(two_, event, 0));
  OK(slow_add(data_, 1, 300000, one_));
  OK(cuEventRecord(event, one_));  // later than the wait: does not hold it up
  const auto start = std::chrono::steady_clock::now();
  OK(cuStreamSynchronize(two_));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(200));
  EXPECT_EQ(CUDA_ERROR_NOT_READY, cuEventQuery(event));
  OK(cuEventSynchronize(event));
  OK(cuEventQuery(event));
}

TEST_F(StreamTest, ElapsedTimeIsThatOfTheStream) {
  CUevent start = nullptr, end = nullptr, untimed = nullptr;
  OK(cuEventCreate(&start, 0));
  OK(cuEventCreate(&end, 0));
  OK(cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING));
  float ms = 0;
  EXPECT_EQ(CUDA_ERROR_INVALID_HANDLE, cuEventElapsedTime(&ms, start, end));
  OK(cuEventRecord(start, one_));
  OK(slow_add(data_, 1, 30000, one_));
  OK(cuEventRecord(end, one_));
  EXPECT_EQ(CUDA_ERROR_NOT_READY, cuEventElapsedTime(&ms, start, end));
  OK(cuEventSynchronize(end));
  OK(cuEventElapsedTime(&ms, start, end));
  EXPECT_GE(ms, 30.0f);
  OK(cuEventRecord(untimed, one_));
  EXPECT_EQ(CUDA_ERROR_INVALID_HANDLE, cuEventElapsedTime(&ms, start, untimed));
}

TEST_F(StreamTest, TheLegacyStreamOrdersBlockingStreamsOnly) {
  CUstream blocking = nullptr;
  OK(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
  OK(slow_add(data_, 1, 20000, blocking));
  OK(slow_add(data_, 1, 20000, nullptr));
  OK(slow_add(data_, 1, 0, blocking));
  OK(cuCtxSynchronize());
  EXPECT_EQ(3u, read(data_));
  OK(slow_add(data_ + 64, 1, 100000, one_));
  OK(slow_add(data_, 1, 0, nullptr));
  OK(cuStreamSynchronize(nullptr));
  EXPECT_EQ(CUDA_ERROR_NOT_READY, cuStreamQuery(one_));
}

TEST_F(StreamTest, PerThreadStreamsBelongToTheirThread) {
  OK(slow_add(data_, 1, 200000, CU_STREAM_PER_THREAD));
  std::thread([&] {
    OK(cuCtxSetCurrent(ctx_));
    OK(slow_add(data_ + 64, 1, 0, CU_STREAM_PER_THREAD));
    OK(cuStreamSynchronize(CU_STREAM_PER_THREAD));
  }).join();
  EXPECT_EQ(CUDA_ERROR_NOT_READY, cuStreamQuery(CU_STREAM_PER_THREAD));
  OK(cuStreamSynchronize(CU_STREAM_PER_THREAD));
}

TEST_F(StreamTest, HostFunctionsRunInOrderAndMayNotCallTheDriver) {
  struct Seen {
    std::atomic<int> order{0};
    CUresult from_inside = CUDA_SUCCESS;
  } seen;
  OK(slow_add(data_, 1, 10000, one_));
  OK(cuLaunchHostFunc(
      one_,
      [](void* data) {
        auto* s = static_cast<Seen*>(data);
        CUdeviceptr address = 0;
        s->from_inside = cuMemAlloc(&address, 16);
        s->order = 1;
      },
      &seen));
  OK(cuStreamSynchronize(one_));
  EXPECT_EQ(1, seen.order);
  EXPECT_EQ(CUDA_ERROR_NOT_PERMITTED, seen.from_inside);
}

TEST_F(StreamTest, ADestroyedStreamStillDoesItsWork) {
  OK(slow_add(data_, 5, 20000, one_));
  OK(cuStreamDestroy(one_));
  EXPECT_EQ(CUDA_ERROR_INVALID_HANDLE, cuStreamSynchronize(one_));
  OK(cuCtxSynchronize());
  EXPECT_EQ(5u, read(data_));
}

TEST_F(StreamTest, WaitValueHoldsItsStreamOnly) {
  void* host = nullptr;
  OK(cuMemHostAlloc(&host, 4096, 0));
  auto* flag = static_cast<std::atomic<uint32_t>*>(host);
  OK(cuStreamWaitValue32(one_, reinterpret_cast<CUdeviceptr>(flag), 7, CU_STREAM_WAIT_VALUE_EQ));
  OK(cuStreamWriteValue32(one_, data_, 9, 0));
  OK(add(data_ + 64, 1, 1, two_));
  OK(cuStreamSynchronize(two_));
  EXPECT_EQ(CUDA_ERROR_NOT_READY, cuStreamQuery(one_));
  flag->store(7);
  OK(cuStreamSynchronize(one_));
  EXPECT_EQ(9u, read(data_));
}

TEST_F(StreamTest, PinnedSourcesAreReadWhenTheCopyRuns) {
  void* host = nullptr;
  OK(cuMemHostAlloc(&host, 4096, 0));
  auto* value = static_cast<volatile uint32_t*>(host);
  *value = 1;
  uint32_t pageable = 1;
  OK(slow_add(data_ + 128, 1, 50000, one_));
  OK(cuMemcpyHtoDAsync(data_, host, 4, one_));
  OK(cuMemcpyHtoDAsync(data_ + 4, &pageable, 4, one_));
  *value = 2;
  pageable = 2;
  OK(cuStreamSynchronize(one_));
  EXPECT_EQ(2u, read(data_));      // the program changed it too early
  EXPECT_EQ(1u, read(data_ + 4));  // pageable memory was read at the call
}

TEST_F(StreamTest, FreeWaitsForTheDevice) {
  CUdeviceptr other = 0;
  OK(cuMemAlloc(&other, 4096));
  OK(slow_add(data_, 1, 30000, one_));
  OK(cuMemFree(other));
  OK(cuStreamQuery(one_));
  EXPECT_EQ(CUDA_ERROR_INVALID_VALUE, cuMemFree(other));
}

}  // namespace loretoken::sim::testing
