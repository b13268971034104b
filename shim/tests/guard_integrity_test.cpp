// What the integrity guard counts, tells and answers.
#include "guard/integrity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "guard/policy.h"
#include "report/counters.h"
#include "report/report.h"

namespace loretoken {
namespace {

constexpr int kDevice = 3;
uint64_t g_now = 1;  // nanoseconds

void pass_seconds(uint64_t seconds) {
  g_now += seconds * 1'000'000'000;
}

class IntegrityGuardTest : public testing::Test {
 protected:
  void set(Integrity action, uint32_t threshold, uint32_t window_s = 60) {
    policy().integrity = action;
    policy().integrity_threshold = threshold;
    policy().integrity_window_s = window_s;
  }
  void find(uint32_t unit = 7) { guard.mismatch("a blob is wrong", unit, 2, 32); }

  static uint64_t all_counted() { return counters(kDevice).guard_events[LORETOKEN_GUARD_INTEGRITY]; }
  uint64_t counted() const { return all_counted() - counted_before_; }
  // Of this test; as far as the ring reaches.
  std::vector<loretoken_event> events() const {
    std::vector<loretoken_event> found;
    for (uint64_t number = events_before_ + 1; number <= telemetry()->event_next; ++number) {
      found.push_back(telemetry()->events[number % LORETOKEN_MAX_EVENTS]);
    }
    return found;
  }

  const uint64_t counted_before_ = all_counted();
  const uint64_t events_before_ = telemetry()->event_next;
  Arbiter arbiter{kDevice, Mode::kFull};
  IntegrityGuard guard{kDevice, arbiter, [] { return g_now; }};
};

TEST_F(IntegrityGuardTest, TellsEachMismatchOnceWithItsFigures) {
  set(Integrity::kLog, 2);
  for (int i = 0; i < 3; ++i) find();
  EXPECT_EQ(counted(), 3u);
  ASSERT_EQ(events().size(), 3u);
  for (uint64_t i = 0; i < 3; ++i) {
    const loretoken_event event = events()[i];
    EXPECT_EQ(event.device, static_cast<uint32_t>(kDevice));
    EXPECT_EQ(event.guard, LORETOKEN_GUARD_INTEGRITY);
    EXPECT_EQ(event.figure, i + 1);
    EXPECT_EQ(event.limit, 2u);
    EXPECT_EQ(event.from_mode, LORETOKEN_MODE_FULL);
    EXPECT_EQ(event.to_mode, LORETOKEN_MODE_FULL);
    EXPECT_EQ(std::string(event.text), "a blob is wrong: unit 7, 2 of 32 blocks");
  }
  EXPECT_FALSE(guard.fails());
  EXPECT_FALSE(guard.distrusts_codecs());
  EXPECT_EQ(arbiter.mode(), Mode::kFull);
}

TEST_F(IntegrityGuardTest, FailsFromTheThresholdOn) {
  set(Integrity::kFail, 3);
  EXPECT_FALSE(guard.fails());
  find();
  find();
  EXPECT_FALSE(guard.fails());
  find();
  EXPECT_TRUE(guard.fails());
  EXPECT_EQ(arbiter.mode(), Mode::kFull);
  policy().integrity = Integrity::kLog;  // the policy of the moment counts
  EXPECT_FALSE(guard.fails());
  policy().integrity = Integrity::kFail;
  pass_seconds(3600);
  EXPECT_TRUE(guard.fails());
}

TEST_F(IntegrityGuardTest, OnlyTheWindowIsCounted) {
  set(Integrity::kFail, 3, 10);
  find();
  pass_seconds(5);
  find();
  pass_seconds(5);  // the first is a whole window old
  find();
  EXPECT_FALSE(guard.fails());
  EXPECT_EQ(events().back().figure, 2u);
  pass_seconds(4);
  find();
  EXPECT_TRUE(guard.fails());
  EXPECT_EQ(events().back().figure, 3u);
}

TEST_F(IntegrityGuardTest, PassthroughIsOneChangeOfModeForGood) {
  set(Integrity::kPassthrough, 2);
  find();
  EXPECT_EQ(arbiter.mode(), Mode::kFull);
  find();
  EXPECT_EQ(arbiter.mode(), Mode::kOff);
  EXPECT_EQ(arbiter.decided_by(), LORETOKEN_GUARD_INTEGRITY);
  EXPECT_TRUE(guard.distrusts_codecs());
  EXPECT_FALSE(guard.fails());
  ASSERT_EQ(events().size(), 2u);
  EXPECT_EQ(events()[1].from_mode, LORETOKEN_MODE_FULL);
  EXPECT_EQ(events()[1].to_mode, LORETOKEN_MODE_OFF);
  EXPECT_EQ(events()[1].figure, 2u);
  EXPECT_EQ(events()[1].limit, 2u);

  policy().integrity = Integrity::kLog;
  pass_seconds(3600);
  find();
  EXPECT_EQ(arbiter.mode(), Mode::kOff);
  ASSERT_EQ(events().size(), 3u);
  EXPECT_EQ(events()[2].from_mode, LORETOKEN_MODE_OFF);
  EXPECT_EQ(events()[2].to_mode, LORETOKEN_MODE_OFF);
  EXPECT_EQ(counted(), 3u);
}

TEST_F(IntegrityGuardTest, PassthroughIsToldAlsoWhenAnotherGuardWasFirst) {
  set(Integrity::kPassthrough, 1);
  arbiter.vote(LORETOKEN_GUARD_PENALTY, {.mode = Mode::kOff, .figure = 300, .limit = 100, .text = "launches waited"});
  ASSERT_EQ(events().size(), 1u);
  find();
  ASSERT_EQ(events().size(), 2u);
  EXPECT_EQ(events()[1].guard, LORETOKEN_GUARD_INTEGRITY);
  EXPECT_EQ(counted(), 1u);
  arbiter.vote(LORETOKEN_GUARD_PENALTY, {.limit = 100, .text = "launches no longer wait"});
  EXPECT_EQ(arbiter.mode(), Mode::kOff);
}

TEST_F(IntegrityGuardTest, CountsWhatSeveralThreadsFind) {
  set(Integrity::kPassthrough, 50);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this] {
      for (int i = 0; i < 20; ++i) find();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counted(), 80u);
  ASSERT_EQ(events().size(), 80u);
  std::vector<bool> seen(81);
  uint32_t changes = 0;
  for (const loretoken_event& event : events()) {
    ASSERT_LE(event.figure, 80u);
    seen[event.figure] = true;
    changes += event.from_mode != event.to_mode;
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true), 80);
  EXPECT_EQ(changes, 1u);
}

TEST_F(IntegrityGuardTest, FarMoreThanTheThresholdTakesNoMoreMemory) {
  set(Integrity::kLog, 1);
  for (int i = 0; i < 5000; ++i) find();
  EXPECT_EQ(events().back().figure, 4096u);
  EXPECT_EQ(counted(), 5000u);
}

}  // namespace
}  // namespace loretoken
