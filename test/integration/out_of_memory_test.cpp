// Out of memory at every driver call that the program or the shim makes: the program sees an error or none at all, ends
// by itself, and no byte that it could still read is wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <set>
#include <sstream>

#include <unistd.h>

#include "child.h"

namespace lt {
namespace {

const std::set<std::string>& memory_calls() {
  static const std::set<std::string> calls{"cuMemCreate",
                                           "cuMemMap",
                                           "cuMemSetAccess",
                                           "cuMemAlloc_v2",
                                           "cuMemHostAlloc",
                                           "cuEventCreate",
                                           "cuMemAddressReserve",
                                           "cuMemAllocAsync",
                                           "cuStreamCreate",
                                           "cuStreamCreateWithPriority",
                                           "cuModuleLoadData",
                                           "cuLaunchKernel",
                                           "cuGraphInstantiateWithFlags",
                                           "cuMemcpyDtoHAsync_v2"};
  return calls;
}

std::vector<std::string> program() {
  return {built("bin/lt_fuzz"),
          "--kernels",
          built("lib/sim/lt_fuzz_kernels_sim.so"),
          "--first",
          "8",
          "--last",
          "8",
          "--steps",
          "14",
          "--live-mib",
          "36",
          "--threads",
          "1",
          "--stop",
          "0"};
}

TEST(OutOfMemory, AtEveryDriverCallEndsInAnErrorOrTheRightBytes) {
  const std::string counts = "/tmp/loretoken-calls-" + std::to_string(getpid());
  Environment shim = under_shim("1GiB", "24MiB", "1GiB");
  shim["LORETOKEN_SIM_JITTER"] = "0";
  shim["LORETOKEN_SIM_CALLS"] = counts;
  const Outcome whole = run(program(), shim, 120);
  ASSERT_EQ(whole.status, 0) << whole.err;
  std::map<std::string, int> calls;
  std::ifstream file(counts);
  for (std::string name, number; file >> name >> number;) calls[name] = std::atoi(number.c_str());
  std::remove(counts.c_str());
  ASSERT_FALSE(calls.empty()) << "the simulator wrote no call counts";
  shim.erase("LORETOKEN_SIM_CALLS");

  int tried = 0;
  for (const auto& [name, count] : calls) {
    if (memory_calls().count(name) == 0) continue;
    // Every one of the first calls, then ever wider steps up to the last.
    for (int n = 1; n <= count; n += n < 12 || !LT_SANITIZED ? 1 + n / 8 : 1 + n) {
      const std::string control = "/tmp/loretoken-control-" + std::to_string(getpid());
      std::ofstream(control) << "fail=" << name << ":" << n << ":2\n";
      Environment failing = shim;
      failing["LORETOKEN_SIM_CONTROL"] = control;
      const Outcome outcome = run(program(), failing, 120);
      std::remove(control.c_str());
      ++tried;
      // 0: the shim coped; 1: the program saw the error; 2: it could not start. Never a crash, a hang, or wrong bytes
      // with status 0.
      ASSERT_LE(outcome.status, 2) << name << " call " << n << "\n" << outcome.err.substr(0, 3000);
      if (outcome.status == 0) {
        ASSERT_EQ(outcome.out, whole.out) << name << " call " << n;
      }
    }
  }
  EXPECT_GT(tried, 40);
}

}  // namespace
}  // namespace lt
