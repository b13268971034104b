// The end of a process, and forks.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "fixture.h"

namespace loretoken::sim::testing {

// Made before the driver is initialised, so its destructor runs after the driver's exit handler.
struct Late {
  bool armed = false;
  CUdeviceptr data = 0;
  ~Late() {
    if (armed) _exit(cuMemFree(data) == CUDA_ERROR_DEINITIALIZED ? 5 : 9);
  }
};
Late late;

class ProcessTest : public DriverTest {};

TEST_F(ProcessTest, AProcessMayEndWithWorkQueued) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        CUdeviceptr data = 0;
        CUstream stream = nullptr;
        cuMemAlloc(&data, 4096);
        cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING);
        for (int i = 0; i < 1000; ++i) slow_add(data, 1, 1000, stream);
        std::exit(3);
      },
      ::testing::ExitedWithCode(3), "");
}

TEST_F(ProcessTest, CallsFromLateDestructorsAreRefusedAndDoNotHang) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        cuMemAlloc(&late.data, 4096);
        late.armed = true;
        std::exit(0);
      },
      ::testing::ExitedWithCode(5), "");
}

TEST_F(ProcessTest, AChildOfAForkIsWithoutCuda) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    int count = 0;
    _exit(cuDeviceGetCount(&count) == CUDA_ERROR_NOT_INITIALIZED && cuInit(0) == CUDA_ERROR_NOT_INITIALIZED ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(child, waitpid(child, &status, 0));
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(0, WEXITSTATUS(status));
}

}  // namespace loretoken::sim::testing
