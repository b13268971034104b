// Small programs in which what is missing is certain to show, not likely.
#include <gtest/gtest.h>

#include "child.h"

namespace lt {
namespace {

constexpr int kPatienceSeconds = LT_SANITIZED ? 300 : 60;

// `slow`, `late`: rules of the simulator.
void compare(const std::string& scenario, const std::string& slow, const std::string& late = "") {
  const std::vector<std::string> program{built("bin/lt_directed"), scenario, built("lib/sim/lt_fuzz_kernels_sim.so")};
  const Outcome expected = run(program, simulator("1GiB"), kPatienceSeconds);
  ASSERT_EQ(expected.status, 0) << expected.err;
  Environment shim = under_shim("1GiB", "32MiB", "1GiB");
  if (!slow.empty()) shim["LORETOKEN_SIM_SLOW"] = slow;
  if (!late.empty()) shim["LORETOKEN_SIM_LATE"] = late;
  const Outcome actual = run(program, shim, kPatienceSeconds);
  EXPECT_EQ(actual.status, 0) << actual.err;
  EXPECT_EQ(actual.out, expected.out) << actual.err;
  EXPECT_EQ(actual.err.find("plain CUDA"), std::string::npos) << actual.err;
}

TEST(Races, ALaunchWaitsForTheUnpackOfWhatItReads) {
  compare("unpack_before_use", "lt_unpack:30000");
}

TEST(Races, PackingWaitsForTheKernelThatStillWrites) {
  compare("pack_after_use", "fuzz_thin:150000");
}

TEST(Races, FreedMemoryIsNotGivenToAnotherStreamBeforeItsReaderIsDone) {
  compare("reuse_after_free", "fuzz_mix:30000");
}

// The mover may have chosen what the waiting stream uses; the thread that would wake the stream needs it first.
TEST(Races, AStreamThatWaitsForTheBlockedThreadIsNotWaitedFor) {
  compare("value_after_room", "");
}

// No unit may be packed until the scan behind that stream has reported.
TEST(Races, AScanBehindAStreamThatWaitsForTheBlockedThreadIsNotWaitedFor) {
  compare("value_before_scan", "");
}

TEST(Races, TheShimsOwnMemoryIsSetBeforeItsKernelsUseIt) {
  compare("unpack_before_use", "memset:30000");
}

TEST(Races, AContextThatIsReleasedWhileMemoryIsPackedEndsNothing) {
  // What the mover waits for is done, and it has not yet looked: so in one of three runs.
  for (int run = 0; run < 4; ++run) compare("release_early", "", "cuEventSynchronize:30000");
}

// One address that only memory holds, of memory that is packed when it is followed.
TEST(Reach, AnAddressThatAKernelStoredIsFollowed) {
  compare("stored_address", "");
}

TEST(Reach, AChainOfStoredAddressesIsFollowed) {
  compare("chain", "");
}

TEST(Reach, AKernelStoresAddressesThoughItsTablesAreFreedAtOnce) {
  compare("freed_table", "fuzz_store:20000");
}

TEST(Reach, AnAddressInPinnedMemoryIsFollowed) {
  compare("host_table", "");
}

}  // namespace
}  // namespace lt
