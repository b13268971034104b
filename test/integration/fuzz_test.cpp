// Generated programs give the same bytes under the shim, with a third of their memory, as on a plain card.
//
// Seeds per configuration: LT_FUZZ_SEEDS (default 250, 10 in sanitizer builds); four configurations make 1,000.
#include <gtest/gtest.h>

#include <cstdlib>

#include "child.h"

namespace lt {
namespace {

int seeds() {
  if (const char* given = std::getenv("LT_FUZZ_SEEDS")) return std::atoi(given);
  return LT_SANITIZED ? 10 : 250;
}

std::vector<std::string> program(int first, int last) {
  return {built("bin/lt_fuzz"),
          "--kernels",
          built("lib/sim/lt_fuzz_kernels_sim.so"),
          "--first",
          std::to_string(first),
          "--last",
          std::to_string(last),
          "--steps",
          "80",
          "--live-mib",
          "60",
          "--threads",
          "2"};
}

void compare(int first, Environment shim, const std::string& jitter) {
  const int last = first + seeds() - 1;
  Environment plain = simulator("1GiB");
  plain["LORETOKEN_SIM_JITTER"] = "0";
  shim["LORETOKEN_SIM_JITTER"] = jitter;
  shim["LORETOKEN_SIM_SEED"] = std::to_string(first);
  const Outcome expected = run(program(first, last), plain, 1200);
  ASSERT_EQ(expected.status, 0) << expected.err;
  const Outcome actual = run(program(first, last), shim, 1200);
  EXPECT_EQ(actual.status, 0) << actual.err.substr(0, 4000);
  const auto want = expected.lines();
  const auto have = actual.lines();
  ASSERT_EQ(want.size(), static_cast<size_t>(seeds()));
  ASSERT_EQ(have.size(), want.size()) << actual.err.substr(0, 4000);
  for (size_t i = 0; i < want.size(); ++i) ASSERT_EQ(have[i], want[i]);
}

TEST(GeneratedPrograms, KeepEveryByteAtAThirdOfTheirMemory) {
  compare(1, under_shim("1GiB", "32MiB", "1GiB"), "20");
}

TEST(GeneratedPrograms, KeepEveryByteUnderLongDelays) {
  compare(10001, under_shim("1GiB", "32MiB", "1GiB"), "60");
}

TEST(GeneratedPrograms, KeepEveryByteWithStrictPointerSafety) {
  Environment shim = under_shim("1GiB", "32MiB", "1GiB");
  shim["LORETOKEN_POINTERS"] = "strict";
  compare(20001, shim, "20");
}

TEST(GeneratedPrograms, TouchNothingOutsideTheirReachSets) {
  Environment shim = under_shim("1GiB", "32MiB", "1GiB");
  shim["LORETOKEN_CHECK"] = "strict";
  compare(30001, shim, "5");
}

}  // namespace
}  // namespace lt
