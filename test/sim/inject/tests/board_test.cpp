#include "board.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>

namespace loretoken::sim::board {
namespace {

const std::string state_path = "/tmp/loretoken-board-test-" + std::to_string(getpid());

const bool environment_is_set = [] {
  setenv("LORETOKEN_SIM_STATE", state_path.c_str(), 1);
  std::atexit([] { unlink(state_path.c_str()); });
  setenv("LORETOKEN_SIM_DEVICES", "24GiB,512MiB", 1);
  return true;
}();

uint64_t bytes_of(pid_t pid, int device) {
  const auto all = uses(device);
  const auto it = std::find_if(all.begin(), all.end(), [&](const Use& use) { return use.pid == uint32_t(pid); });
  return it == all.end() ? 0 : it->bytes;
}

TEST(Board, ReadsSizes) {
  EXPECT_EQ(parse_size("24GiB"), 24ull << 30);
  EXPECT_EQ(parse_size("1.5MiB"), 3ull << 19);
  EXPECT_EQ(parse_size("2GB"), 2000000000u);
  EXPECT_EQ(parse_size("4096"), 4096u);
  EXPECT_EQ(parse_size("x"), 0u);
  EXPECT_EQ(parse_size("-1GiB"), 0u);
  EXPECT_EQ(parse_size("1XiB"), 0u);
}

TEST(Board, CardsComeFromTheEnvironmentAndDiffer) {
  ASSERT_EQ(cards().size(), 2u);
  EXPECT_EQ(cards()[0].memory_bytes, 24ull << 30);
  EXPECT_EQ(cards()[1].memory_bytes, 512ull << 20);
  EXPECT_NE(uuid_text(cards()[0]), uuid_text(cards()[1]));
  EXPECT_EQ(uuid_text(cards()[0]).size(), 40u);
  EXPECT_EQ(bus_text(cards()[1]), "00000000:02:00.0");
}

// In a process of its own: cards are read once.
TEST(BoardDeathTest, OnlyVisibleCardsAreThereAndKeepTheirPlace) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  setenv("NVIDIA_VISIBLE_DEVICES", "GPU-104e704e-514d-4000-8000-000000000002", 1);
  EXPECT_EXIT(
      {
        publish_used(0, 9 << 20);
        const bool right = cards().size() == 1 && cards()[0].memory_bytes == 512ull << 20 && cards()[0].slot == 1 &&
                           bytes_of(getpid(), 0) == 9u << 20;
        _exit(right ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
  for (const char* all : {"all", "void", ""}) {
    setenv("NVIDIA_VISIBLE_DEVICES", all, 1);
    EXPECT_EXIT(_exit(cards().size() == 2 ? 0 : 1), testing::ExitedWithCode(0), "") << all;
  }
  unsetenv("NVIDIA_VISIBLE_DEVICES");
}

TEST(Board, OtherProcessesSeeUseUntilTheProcessDies) {
  int ready[2], stop[2];
  ASSERT_EQ(pipe(ready), 0);
  ASSERT_EQ(pipe(stop), 0);
  const pid_t child = fork();
  if (child == 0) {
    publish_used(1, 123 << 20);
    char byte = 1;
    if (write(ready[1], &byte, 1) != 1 || read(stop[0], &byte, 1) != 1) _exit(1);
    _exit(0);
  }
  char byte;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_EQ(bytes_of(child, 1), 123u << 20);
  EXPECT_EQ(bytes_of(child, 0), 0u);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_EQ(bytes_of(child, 1), 0u);
}

TEST(Board, AContextWithoutMemoryIsListed) {
  publish_context(0, true);
  const auto all = uses(0);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].pid, static_cast<uint32_t>(getpid()));
  publish_context(0, false);
  EXPECT_TRUE(uses(0).empty());
}

TEST(Board, AForkedChildHasARowOfItsOwn) {
  publish_used(0, 7 << 20);
  const pid_t child = fork();
  if (child == 0) {
    publish_used(0, 5 << 20);
    _exit(bytes_of(getpid(), 0) == 5u << 20 && bytes_of(getppid(), 0) == 7u << 20 ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(bytes_of(getpid(), 0), 7u << 20);
  publish_used(0, 0);
}

}  // namespace
}  // namespace loretoken::sim::board
