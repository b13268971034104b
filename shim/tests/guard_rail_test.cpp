// A limit's way up and down. Times are milliseconds here; the agent's ladder passes the same cases.
#include <gtest/gtest.h>

#include <vector>

#include "guard/rail.h"

namespace loretoken {
namespace {

constexpr RailSettings kShort{10, 30, 100};

// Looks once per millisecond. The last level.
Rail::Level through(Rail* rail, Strain strain, uint64_t from, uint64_t to) {
  Rail::Level level = 0;
  for (uint64_t now = from; now <= to; ++now) level = rail->look(strain, now);
  return level;
}

TEST(GuardRail, ABrokenLimitIsAnsweredAtOnceAndMoreStronglyWhileItStaysBroken) {
  Rail rail(kShort);
  EXPECT_EQ(rail.look(Strain::kCalm, 0), 0u);
  EXPECT_EQ(rail.look(Strain::kBroken, 1), 1u);
  EXPECT_EQ(through(&rail, Strain::kBroken, 2, 10), 1u);
  EXPECT_EQ(rail.look(Strain::kBroken, 11), 2u);
  EXPECT_EQ(through(&rail, Strain::kBroken, 12, 20), 2u);
  EXPECT_EQ(rail.look(Strain::kBroken, 21), 3u);
  EXPECT_EQ(through(&rail, Strain::kBroken, 22, 500), 3u);
}

TEST(GuardRail, CalmLeadsBackAStepAtATime) {
  Rail rail(kShort);
  through(&rail, Strain::kBroken, 0, 20);
  EXPECT_EQ(through(&rail, Strain::kCalm, 21, 50), 3u);
  EXPECT_EQ(rail.look(Strain::kCalm, 51), 2u);
  EXPECT_EQ(through(&rail, Strain::kCalm, 52, 80), 2u);
  EXPECT_EQ(rail.look(Strain::kCalm, 81), 1u);
  EXPECT_EQ(rail.look(Strain::kCalm, 111), 0u);
}

TEST(GuardRail, JustUnderTheLimitNothingMoves) {
  Rail rail(kShort);
  rail.look(Strain::kBroken, 0);
  EXPECT_EQ(through(&rail, Strain::kBetween, 1, 500), 1u);
  EXPECT_EQ(rail.look(Strain::kBroken, 501), 1u) << "broken anew: its time starts anew";
  EXPECT_EQ(through(&rail, Strain::kBetween, 502, 505), 1u);
  EXPECT_EQ(rail.look(Strain::kCalm, 506), 1u);
  EXPECT_EQ(rail.look(Strain::kBetween, 530), 1u);
  EXPECT_EQ(rail.look(Strain::kCalm, 540), 1u) << "calm must last without a break";
  EXPECT_EQ(rail.look(Strain::kCalm, 570), 0u);
}

TEST(GuardRail, EachRelapseMakesTheWayBackLongerUpToALimitAndLongCalmForgets) {
  Rail rail(kShort);
  uint64_t now = 0;
  std::vector<uint64_t> pauses;
  for (int round = 0; round < 4; ++round) {
    rail.look(Strain::kBroken, now);
    const uint64_t began = ++now;
    while (rail.look(Strain::kCalm, now) > 0) ++now;
    pauses.push_back(now - began);
    now += 5;
  }
  EXPECT_EQ(pauses, (std::vector<uint64_t>{30, 60, 100, 100}));
  through(&rail, Strain::kCalm, now, now + 400);
  now += 401;
  rail.look(Strain::kBroken, now);
  EXPECT_EQ(through(&rail, Strain::kCalm, now + 1, now + 31), 0u);
}

TEST(GuardRail, ALoadAtTheEdgeCannotSwingFasterThanThePauses) {
  Rail rail(kShort);
  int changes = 0;
  Rail::Level last = 0;
  for (uint64_t now = 0; now < 10'000; ++now) {
    const Rail::Level level = rail.look(now % 40 < 1 ? Strain::kBroken : Strain::kCalm, now);
    if (level != last) ++changes;
    last = level;
  }
  EXPECT_LT(changes, 20);
}

TEST(GuardRail, LevelsStandForPaceHoldAndOff) {
  EXPECT_EQ(vote_of(0).mode, Mode::kFull);
  EXPECT_EQ(vote_of(0).backoff, 0u);
  EXPECT_EQ(vote_of(1).mode, Mode::kFull);
  EXPECT_EQ(vote_of(1).backoff, 1u);
  EXPECT_EQ(vote_of(2).mode, Mode::kHold);
  EXPECT_EQ(vote_of(3).mode, Mode::kOff);
}

}  // namespace
}  // namespace loretoken
