// The telemetry file, as several processes use it. Every test forks children that start with nothing mapped.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>

#include "base/settings.h"
#include "report/charge.h"
#include "report/counters.h"
#include "report/report.h"
#include "report/telemetry_file.h"

namespace loretoken {
namespace {

class Telemetry : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/loretoken-telemetry-XXXXXX";
    close(mkstemp(name));
    unlink(name);
    path_ = name;
  }
  void TearDown() override { unlink(path_.c_str()); }

  // Runs `body` in a child that reports to the file. The child's exit status.
  int in_child(const std::function<void()>& body) {
    const pid_t child = fork();
    if (child == 0) {
      report_after_fork();
      Settings settings;
      settings.telemetry = path_;
      settings.log = LogLevel::kError;
      replace_settings(settings);
      body();
      _exit(testing::Test::HasFailure() ? 1 : 0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return status;
  }

  const loretoken_telemetry* read() {
    if (mapped_ == nullptr) mapped_ = map_telemetry(path_.c_str());
    return mapped_;
  }

  std::string path_;
  loretoken_telemetry* mapped_ = nullptr;
};

TEST_F(Telemetry, CountersAreReadableAfterTheProcessEnded) {
  EXPECT_EQ(in_child([] {
              counters(1).launches.fetch_add(42);
              gauge(counters(1).raw_bytes, counters(1).raw_peak, 1000);
              gauge(counters(1).raw_bytes, counters(1).raw_peak, 10);
            }),
            0);
  ASSERT_NE(read(), nullptr);
  EXPECT_EQ(read()->magic, LORETOKEN_TELEMETRY_MAGIC);
  EXPECT_EQ(read()->rows[0].device, 1u);
  EXPECT_EQ(read()->rows[0].launches, 42u);
  EXPECT_EQ(read()->rows[0].raw_bytes, 10u);
  EXPECT_EQ(read()->rows[0].raw_peak, 1000u);
}

TEST_F(Telemetry, TheFileHasItsFullSizeAtOnce) {
  EXPECT_EQ(in_child([] { counters(0); }), 0);
  struct stat status {};
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(static_cast<size_t>(status.st_size), sizeof(loretoken_telemetry));
}

TEST_F(Telemetry, ProcessesOfOneGroupSeeEachOthersCharges) {
  int to_child[2];
  int to_parent[2];
  ASSERT_EQ(pipe(to_child), 0);
  ASSERT_EQ(pipe(to_parent), 0);
  const pid_t other = fork();
  if (other == 0) {
    report_after_fork();
    Settings settings;
    settings.telemetry = path_;
    replace_settings(settings);
    charge(0, 1000);
    discharge(0, 300);
    charge_pinned(50);
    discharge_pinned(10);
    char byte = 0;
    if (write(to_parent[1], "c", 1) != 1 || ::read(to_child[0], &byte, 1) != 1) _exit(1);
    _exit(0);
  }
  close(to_parent[1]);
  char byte = 0;
  ASSERT_EQ(::read(to_parent[0], &byte, 1), 1);
  EXPECT_EQ(in_child([] {
              charge(0, 5);
              EXPECT_EQ(charged(0), 5u);
              EXPECT_EQ(charged_by_others(0), 700u);
              EXPECT_EQ(charged_by_others(1), 0u);
              charge_pinned(2);
              EXPECT_EQ(pinned_by_group(), 42u);
            }),
            0);
  ASSERT_EQ(write(to_child[1], "x", 1), 1);
  waitpid(other, nullptr, 0);
}

TEST_F(Telemetry, ChargesOfADeadProcessAreReclaimed) {
  EXPECT_EQ(in_child([] {
              charge(0, uint64_t{1} << 40);
              charge_pinned(uint64_t{1} << 40);
            }),
            0);
  EXPECT_EQ(in_child([] {
              EXPECT_EQ(charged_by_others(0), 0u);
              EXPECT_EQ(pinned_by_group(), 0u);
            }),
            0);
}

TEST_F(Telemetry, RowsOfDeadProcessesServeAgainWhenAllAreTaken) {
  for (uint32_t i = 0; i < LORETOKEN_MAX_PROCESSES + 3; ++i) {
    ASSERT_EQ(in_child([] { charge(0, 1); }), 0);
  }
  EXPECT_EQ(in_child([] {
              charge(0, 7);
              uint64_t seen = 0;
              for (const loretoken_process& row : telemetry()->processes) {
                if (row.pid == static_cast<uint32_t>(getpid())) seen = row.charged[0];
              }
              EXPECT_EQ(seen, 7u);
            }),
            0);
}

TEST_F(Telemetry, EventsKeepTheirOrderWhenTheRingWraps) {
  EXPECT_EQ(in_child([] {
              for (uint64_t i = 1; i <= LORETOKEN_MAX_EVENTS + 5; ++i) {
                report_event(0, LORETOKEN_GUARD_MEMORY, 0, 1, i, 0, "room");
              }
            }),
            0);
  ASSERT_NE(read(), nullptr);
  EXPECT_EQ(read()->event_next, LORETOKEN_MAX_EVENTS + 5u);
  const loretoken_event& last = read()->events[(LORETOKEN_MAX_EVENTS + 5) % LORETOKEN_MAX_EVENTS];
  EXPECT_EQ(last.number, LORETOKEN_MAX_EVENTS + 5u);
  EXPECT_EQ(last.figure, LORETOKEN_MAX_EVENTS + 5u);
  EXPECT_STREQ(last.text, "room");
}

TEST_F(Telemetry, AnUnusableFileMeansPrivateCounters) {
  path_ = "/proc/no-such-folder/telemetry";
  EXPECT_EQ(in_child([] {
              counters(0).launches.fetch_add(1);
              EXPECT_EQ(counters(0).launches.load(), 1u);
              charge(0, 10);
              EXPECT_EQ(charged_by_others(0), 0u);
            }),
            0);
}

TEST_F(Telemetry, AShortFileIsGrown) {
  const int file = open(path_.c_str(), O_RDWR | O_CREAT, 0600);
  ASSERT_EQ(ftruncate(file, 100), 0);
  close(file);
  EXPECT_EQ(in_child([] { counters(0).frees.fetch_add(3); }), 0);
  ASSERT_NE(read(), nullptr);
  EXPECT_EQ(read()->rows[0].frees, 3u);
}

TEST_F(Telemetry, AForeignFileIsLeftAlone) {
  const int file = open(path_.c_str(), O_RDWR | O_CREAT, 0600);
  const std::string text(sizeof(loretoken_telemetry), 'x');
  ASSERT_EQ(write(file, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  EXPECT_EQ(in_child([] { counters(0).frees.fetch_add(3); }), 0);
  std::string after(text.size(), '\0');
  ASSERT_EQ(pread(file, after.data(), after.size(), 0), static_cast<ssize_t>(after.size()));
  EXPECT_EQ(after, text);
  close(file);
}

TEST(Abi, LayoutIsFixed) {
  EXPECT_EQ(sizeof(loretoken_control_device), 88u);
  EXPECT_EQ(offsetof(loretoken_control, devices), 160u);
  EXPECT_EQ(sizeof(loretoken_process), 176u);
  EXPECT_EQ(offsetof(loretoken_row, physical_total), 112u);
  EXPECT_EQ(offsetof(loretoken_telemetry, processes) % 8, 0u);
  EXPECT_EQ(sizeof(loretoken_row) % 8, 0u);
  EXPECT_EQ(sizeof(loretoken_event) % 8, 0u);
}

}  // namespace
}  // namespace loretoken
