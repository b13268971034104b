// Many random programs with complete waits: whatever the schedule, the bytes are the same.
#include <random>

#include "fixture.h"

namespace loretoken::sim::testing {

class ScheduleTest : public DriverTest {};

TEST_F(ScheduleTest, EventsMakeEveryScheduleGiveTheSameBytes) {
  constexpr int kStreams = 3, kBuffers = 4, kSteps = 300;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    std::mt19937_64 random(seed);
    CUstream streams[kStreams];
    CUevent last[kBuffers];
    CUdeviceptr buffers[kBuffers];
    uint32_t expected[kBuffers] = {};
    for (auto& stream : streams) OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    for (int b = 0; b < kBuffers; ++b) {
      OK(cuEventCreate(&last[b], CU_EVENT_DISABLE_TIMING));
      OK(cuMemAllocAsync(&buffers[b], kPage, streams[0]));
      OK(cuMemsetD32Async(buffers[b], 0, 1, streams[0]));
      OK(cuEventRecord(last[b], streams[0]));
    }
    for (int step = 0; step < kSteps; ++step) {
      const auto from = static_cast<int>(random() % kBuffers), to = static_cast<int>(random() % kBuffers);
      CUstream stream = streams[random() % kStreams];
      OK(cuStreamWaitEvent(stream, last[from], 0));
      OK(cuStreamWaitEvent(stream, last[to], 0));
      switch (random() % 4) {
        case 0:
          OK(cuMemcpyDtoDAsync(buffers[to], buffers[from], 4, stream));
          expected[to] = expected[from];
          break;
        case 1: {  // freed and made again, at whatever address
          OK(cuMemFreeAsync(buffers[to], stream));
          OK(cuMemAllocAsync(&buffers[to], kPage, stream));
          OK(cuMemsetD32Async(buffers[to], static_cast<unsigned>(step), 1, stream));
          expected[to] = static_cast<uint32_t>(step);
          break;
        }
        default:
          OK(add(buffers[to], 3, 1, stream));
          expected[to] += 3;
      }
      OK(cuEventRecord(last[to], stream));
      if (from != to) {
        OK(cuEventRecord(last[from], stream));
      }
    }
    OK(cuCtxSynchronize());
    for (int b = 0; b < kBuffers; ++b) {
      EXPECT_EQ(expected[b], read(buffers[b])) << "seed " << seed << " buffer " << b;
      OK(cuMemFree(buffers[b]));
    }
    for (auto& stream : streams) OK(cuStreamDestroy(stream));
  }
}

}  // namespace loretoken::sim::testing
