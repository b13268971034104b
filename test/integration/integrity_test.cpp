// Nothing is lost: raw bytes go only when their blob was seen to decode to them.
#include <gtest/gtest.h>

#include "child.h"

namespace lt {
namespace {

TEST(Integrity, ABlobThatDoesNotDecodeToItsBytesIsNotTaken) {
  const std::vector<std::string> program{built("bin/lt_directed"), "keep_all", built("lib/sim/lt_fuzz_kernels_sim.so")};
  const Outcome expected = run(program, simulator("1GiB"), 300);
  ASSERT_EQ(expected.status, 0) << expected.err;
  Environment shim = under_shim("1GiB", "48MiB", "1GiB");
  shim["LORETOKEN_KERNELS"] = built("lib/sim/lt_wrong_kernels_sim.so");
  const Outcome actual = run(program, shim, 300);
  EXPECT_EQ(actual.status, 0) << actual.err;
  EXPECT_EQ(actual.out, expected.out) << actual.err;
  EXPECT_NE(actual.err.find("does not decode to its bytes"), std::string::npos) << actual.err;
}

}  // namespace
}  // namespace lt
