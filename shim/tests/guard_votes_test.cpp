// The arbiter of modes and the penalty guard, which votes by what waiting cost.
#include <gtest/gtest.h>

#include <vector>

#include "guard/arbiter.h"
#include "guard/penalty.h"
#include "guard/policy.h"
#include "report/counters.h"
#include "report/report.h"

namespace loretoken {
namespace {

// Those after the `before` first.
std::vector<loretoken_event> events(uint64_t before) {
  std::vector<loretoken_event> found;
  const loretoken_telemetry* file = telemetry();
  for (uint64_t number = before + 1; number <= file->event_next; ++number) {
    found.push_back(file->events[number % LORETOKEN_MAX_EVENTS]);
  }
  return found;
}

TEST(Arbiter, TheStrictestVoteHoldsAndEachChangeIsOneEvent) {
  Arbiter arbiter(0, Mode::kFull);
  const uint64_t before = telemetry()->event_next;
  EXPECT_TRUE(arbiter.vote(LORETOKEN_GUARD_THERMAL, {.mode = Mode::kHold, .figure = 91, .limit = 85, .text = "hot"}));
  EXPECT_EQ(arbiter.mode(), Mode::kHold);
  EXPECT_EQ(arbiter.decided_by(), LORETOKEN_GUARD_THERMAL);
  EXPECT_FALSE(arbiter.vote(LORETOKEN_GUARD_POWER, {.mode = Mode::kHold, .text = "power"})) << "nothing changes by it";
  EXPECT_FALSE(arbiter.vote(LORETOKEN_GUARD_THERMAL, {.mode = Mode::kHold, .figure = 92, .limit = 85, .text = "hot"}));
  EXPECT_TRUE(arbiter.vote(LORETOKEN_GUARD_PENALTY, {.mode = Mode::kOff, .text = "slow"}));
  EXPECT_EQ(arbiter.mode(), Mode::kOff);
  EXPECT_TRUE(arbiter.vote(LORETOKEN_GUARD_PENALTY, {.text = "fast"}));
  EXPECT_EQ(arbiter.mode(), Mode::kHold);
  EXPECT_FALSE(arbiter.vote(LORETOKEN_GUARD_THERMAL, {.text = "cool"})) << "power still holds";
  EXPECT_EQ(arbiter.decided_by(), LORETOKEN_GUARD_POWER);
  EXPECT_TRUE(arbiter.vote(LORETOKEN_GUARD_POWER, {.text = "enough"}));
  EXPECT_EQ(arbiter.mode(), Mode::kFull);
  const auto told = events(before);
  ASSERT_EQ(told.size(), 4u);
  EXPECT_EQ(told[0].figure, 91u);
  EXPECT_EQ(told[0].limit, 85u);
  EXPECT_STREQ(told[0].text, "hot");
  uint32_t mode = LORETOKEN_MODE_FULL;
  for (const loretoken_event& event : told) {
    EXPECT_EQ(event.from_mode, mode);
    mode = event.to_mode;
  }
}

TEST(Arbiter, PaceAndStepsAreToldToo) {
  Arbiter arbiter(0, Mode::kFull);
  const uint64_t before = telemetry()->event_next;
  EXPECT_TRUE(arbiter.vote(LORETOKEN_GUARD_THERMAL, {.backoff = 1, .text = "warm"}));
  EXPECT_EQ(arbiter.backoff(), 1u);
  EXPECT_EQ(arbiter.decided_by(), LORETOKEN_GUARD_THERMAL);
  EXPECT_TRUE(arbiter.vote(LORETOKEN_GUARD_PENALTY, {.step = 1, .text = "left raw"}));
  EXPECT_FALSE(arbiter.vote(LORETOKEN_GUARDS, {.mode = Mode::kOff})) << "no such guard";
  EXPECT_EQ(arbiter.mode(), Mode::kFull);
  EXPECT_TRUE(arbiter.vote(LORETOKEN_GUARD_THERMAL, {.text = "cool"}));
  EXPECT_TRUE(arbiter.vote(LORETOKEN_GUARD_PENALTY, {.text = "fast"}));
  const auto told = events(before);
  ASSERT_EQ(told.size(), 4u);
  for (size_t i = 0; i < told.size(); ++i) {
    EXPECT_EQ(told[i].from_mode, told[i].to_mode);
    EXPECT_EQ(told[i].eased, i < 2 ? 0u : 1u) << told[i].text;
  }
}

class WaitingMemory final : public Guarded {
 public:
  uint64_t waited = 0;
  int raised = 0;
  int lifted = 0;
  uint64_t waited_ns() const override { return waited; }
  void leave_raw() override { ++raised; }
  void leave_nothing_raw() override { ++lifted; }
  void bring_back() override {}
};

class PenaltyTest : public testing::Test {
 protected:
  static constexpr uint64_t kMs = 1'000'000;
  void SetUp() override {
    policy().penalty_window_ms = 100;
    policy().max_penalty_permille = 100;
    guard.look(now);
  }
  // A window in which launches waited for this share.
  void window(uint32_t permille) {
    now += 100 * kMs;
    memory.waited += permille * 100 * kMs / 1000;
    guard.look(now);
  }
  Arbiter arbiter{0, Mode::kFull};
  WaitingMemory memory;
  PenaltyGuard guard{0, arbiter, memory};
  uint64_t now = 1;
  const uint64_t before = telemetry()->event_next;
};

TEST_F(PenaltyTest, ShareIsOfTheWindowAndNeverAboveAll) {
  EXPECT_EQ(permille_of(50, 1000), 50u);
  EXPECT_EQ(permille_of(5000, 1000), 1000u);
  EXPECT_EQ(permille_of(5, 0), 0u);
  window(80);
  EXPECT_EQ(counters(0).penalty_permille, 80u);
  EXPECT_EQ(memory.raised, 0);
}

TEST_F(PenaltyTest, FirstTheCostliestStayRawThenHoldThenOff) {
  window(300);
  EXPECT_EQ(memory.raised, 1);
  EXPECT_EQ(arbiter.mode(), Mode::kFull);
  for (int i = 0; i < 3; ++i) window(300);
  EXPECT_EQ(arbiter.mode(), Mode::kHold);
  EXPECT_GT(memory.raised, 2);
  for (int i = 0; i < 3; ++i) window(300);
  EXPECT_EQ(arbiter.mode(), Mode::kOff);
  const auto told = events(before);
  ASSERT_EQ(told.size(), 3u);
  for (const loretoken_event& event : told) {
    EXPECT_EQ(event.guard, LORETOKEN_GUARD_PENALTY);
    EXPECT_EQ(event.figure, 300u);
    EXPECT_EQ(event.limit, 100u);
  }
}

TEST_F(PenaltyTest, CalmLeadsBackStepByStepAndLaterAfterARelapse) {
  for (int i = 0; i < 7; ++i) window(300);
  ASSERT_EQ(arbiter.mode(), Mode::kOff);
  int first = 0;
  for (; arbiter.mode() != Mode::kFull; ++first) {
    ASSERT_LT(first, 100);
    window(10);
  }
  for (int i = 0; i < 5; ++i) window(300);
  ASSERT_EQ(arbiter.mode(), Mode::kHold);
  int second = 0;
  for (; arbiter.mode() != Mode::kFull; ++second) {
    ASSERT_LT(second, 100);
    window(10);
  }
  EXPECT_GT(second, first / 2) << "one step less, and yet not so fast";
  for (int i = 0; i < 20; ++i) window(10);
  EXPECT_GE(memory.lifted, 1);
}

TEST_F(PenaltyTest, JustUnderTheLimitNothingMoves) {
  for (int i = 0; i < 4; ++i) window(300);
  ASSERT_EQ(arbiter.mode(), Mode::kHold);
  for (int i = 0; i < 50; ++i) window(90);
  EXPECT_EQ(arbiter.mode(), Mode::kHold);
}

TEST_F(PenaltyTest, WithoutALimitAllIsLifted) {
  for (int i = 0; i < 7; ++i) window(300);
  policy().max_penalty_permille = 0;
  window(300);
  EXPECT_EQ(arbiter.mode(), Mode::kFull);
  EXPECT_EQ(memory.lifted, 1);
}

}  // namespace
}  // namespace loretoken
