#include "inject.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <thread>

#include "call_count.h"
#include "rules.h"

namespace loretoken::sim::inject {
namespace {

const std::string& control_path() {
  static const std::string path = "/tmp/loretoken-inject-test-" + std::to_string(getpid());
  return path;
}

// The injector reads the environment once, at its first call.
const bool environment_is_set = [] {
  setenv("LORETOKEN_SIM_CONTROL", control_path().c_str(), 1);
  return true;
}();

// Replaces the control file and waits until it must have been noticed.
void control(const std::string& text) {
  const std::string fresh = control_path() + ".new";
  std::ofstream(fresh) << text;
  std::rename(fresh.c_str(), control_path().c_str());
  std::this_thread::sleep_for(std::chrono::milliseconds(4 * kRecheckMs));
}

class Inject : public testing::Test {
 protected:
  void TearDown() override {
    control("");
    std::remove(control_path().c_str());
  }
};

TEST_F(Inject, FailsTheNthCallOfASymbolOnly) {
  control("fail=cuMemCreate:3:2\n");
  EXPECT_EQ(on_call("cuMemCreate"), CUDA_SUCCESS);
  EXPECT_EQ(on_call("cuMemMap"), CUDA_SUCCESS);
  EXPECT_EQ(on_call("cuMemCreate"), CUDA_SUCCESS);
  EXPECT_EQ(on_call("cuMemCreate"), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(on_call("cuMemCreate"), CUDA_SUCCESS);
}

TEST_F(Inject, FailsEveryLaterCallWithPlus) {
  control("fail=cuMemCreate:2+:2\n");
  EXPECT_EQ(on_call("cuMemCreate"), CUDA_SUCCESS);
  EXPECT_EQ(on_call("cuMemCreate"), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(on_call("cuMemCreate"), CUDA_ERROR_OUT_OF_MEMORY);
}

TEST_F(Inject, StarCountsCallsOfAllSymbols) {
  control("fail=*:2:999\n");
  EXPECT_EQ(on_call("cuInit"), CUDA_SUCCESS);
  EXPECT_EQ(on_call("cuMemMap"), CUDA_ERROR_UNKNOWN);
}

TEST_F(Inject, CountsGoOnWhenTheFileChangesElsewhere) {
  control("fail=cuMemMap:2:2\n");
  EXPECT_EQ(on_call("cuMemMap"), CUDA_SUCCESS);
  control("fail=cuMemMap:2:2\npower_watts=300\n");
  EXPECT_EQ(on_call("cuMemMap"), CUDA_ERROR_OUT_OF_MEMORY);
}

TEST_F(Inject, SlowsCallsAndOperations) {
  control("slow=cuMemUnmap:20000\nslow=relu:20000\nlate=cuMemMap:20000\n");
  auto timed = [](auto call) {
    const auto start = std::chrono::steady_clock::now();
    call();
    return std::chrono::steady_clock::now() - start;
  };
  EXPECT_GE(timed([] { on_call("cuMemUnmap"); }), std::chrono::milliseconds(20));
  EXPECT_GE(timed([] { before_op("kernel", "relu"); }), std::chrono::milliseconds(20));
  EXPECT_LT(timed([] { before_op("kernel", "gemm"); }), std::chrono::milliseconds(20));
  EXPECT_GE(timed([] { on_return("cuMemMap"); }), std::chrono::milliseconds(20));
  EXPECT_LT(timed([] { on_call("cuMemMap"); }), std::chrono::milliseconds(20));
}

unsigned char device_bytes[2][4096];

TEST_F(Inject, FlipsOneBitBeforeTheNthOperation) {
  set_range_source([](bool) { return std::vector<Range>{{device_bytes[0], 4096}, {device_bytes[1], 4096}}; });
  auto bits = [] {
    int count = 0;
    for (auto& half : device_bytes)
      for (unsigned char byte : half) count += std::popcount(byte);
    return count;
  };
  control("flip=2:17\n");
  before_op("memset");
  EXPECT_EQ(bits(), 0);
  before_op("memset");
  EXPECT_EQ(bits(), 1);
  before_op("memset");
  EXPECT_EQ(bits(), 1);
}

TEST_F(Inject, FlipChoosesByTheSeedAlone) {
  unsigned char a[64] = {}, b[64] = {}, c[64] = {};
  EXPECT_TRUE(flip_bit({{a, 64}}, 1));
  EXPECT_TRUE(flip_bit({{b, 64}}, 1));
  EXPECT_TRUE(flip_bit({{c, 64}}, 2));
  EXPECT_EQ(std::string(a, a + 64), std::string(b, b + 64));
  EXPECT_NE(std::string(a, a + 64), std::string(c, c + 64));
  EXPECT_FALSE(flip_bit({}, 1));
}

TEST_F(Inject, FlipsBehindEveryPlaceThatBeginsSoAtTheNthOperation) {
  alignas(64) static unsigned char device[512], host[512];
  for (unsigned char* memory : {device, host}) {
    std::fill(memory, memory + 512, uint8_t{0});
    memory[64] = memory[256] = memory[448] = 0xAB;
    memory[65] = memory[257] = memory[449] = 0xCD;
    memory[130] = 0xAB, memory[131] = 0xCD;  // not at a step
  }
  set_range_source([](bool of_host) { return std::vector<Range>{{of_host ? host : device, 512}}; });
  control("flip_behind=2:host:abcd:100\n");
  before_op("memset");
  EXPECT_EQ(host[164] + host[356], 0);
  before_op("memset");
  before_op("memset");
  EXPECT_EQ(host[164], 1);
  EXPECT_EQ(host[356], 1);  // the third place is too near to the end
  EXPECT_EQ(std::count(device, device + 512, 1), 0);
  EXPECT_EQ(std::count(host, host + 512, 1), 2);
  EXPECT_EQ(flip_behind({{host, 512}}, {0xAB, 0xCD}, 511), 0u);
}

TEST_F(Inject, HealthIsPerDeviceAndFollowsTheFile) {
  control("power_watts=300\npower_watts.1=410.5\nthrottle=0x40\ntemperature_margin=-2\n");
  EXPECT_EQ(health(0).power_watts, 300);
  EXPECT_EQ(health(1).power_watts, 410.5);
  EXPECT_EQ(health(0).throttle, 0x40u);
  EXPECT_EQ(health(0).temperature_margin, -2);
  control("");
  EXPECT_EQ(health(0).power_watts, Health{}.power_watts);
}

TEST_F(Inject, TellsAnXidOncePerLine) {
  const size_t before = xids().size();
  control("xid=79:1\n");
  EXPECT_EQ(xids().size(), before + 1);
  EXPECT_EQ(xids().back().code, 79u);
  EXPECT_EQ(xids().back().device, 1);
  control("xid=79:1\npower_watts=1\n");
  EXPECT_EQ(xids().size(), before + 1);
  control("xid=79:1:2\n");
  EXPECT_EQ(xids().size(), before + 2);
}

TEST_F(Inject, ReportsLinesItCannotRead) {
  testing::internal::CaptureStderr();
  control("fail=cuMemMap\nnonsense\nslow=:5\n");
  on_call("cuInit");
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("\"fail=cuMemMap\""), std::string::npos);
  EXPECT_NE(text.find("\"nonsense\""), std::string::npos);
  EXPECT_NE(text.find("\"slow=:5\""), std::string::npos);
}

TEST(Rules, EnvironmentHoldsSeveralValuesPartedByCommas) {
  setenv("LORETOKEN_SIM_FAIL", "cuMemMap:1:2, cuInit:4:100", 1);
  std::vector<std::string> bad;
  const auto rules = build_rules(environment_lines(), nullptr, bad);
  unsetenv("LORETOKEN_SIM_FAIL");
  EXPECT_TRUE(bad.empty());
  EXPECT_EQ(rules->fails.size(), 2u);
  EXPECT_EQ(rules->fails.at("fail=cuInit:4:100")->rule.code, 100);
}

TEST(CallCount, IsWrittenAtExit) {
  const std::string path = control_path() + ".calls";
  const pid_t child = fork();
  if (child == 0) {
    setenv("LORETOKEN_SIM_CALLS", path.c_str(), 1);
    execl("/proc/self/exe", "sim_inject_tests", "--gtest_filter=CallCount.ThreeCallsPass", "--gtest_brief=1", nullptr);
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  std::map<std::string, int> calls;
  std::ifstream file(path);
  std::string name;
  for (int count = 0; file >> name >> count;) calls[name] = count;
  std::remove(path.c_str());
  EXPECT_EQ(calls, (std::map<std::string, int>{{"*", 3}, {"cuInit", 1}, {"cuMemMap", 2}}));
}

// CallCount.IsWrittenAtExit runs it in a process of its own.
TEST(CallCount, ThreeCallsPass) {
  on_call("cuInit");
  on_call("cuMemMap");
  EXPECT_EQ(on_call("cuMemMap"), CUDA_SUCCESS);
}

}  // namespace
}  // namespace loretoken::sim::inject
