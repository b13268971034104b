// Figures against limits; device-plugin/src/guard/guard.test.ts has the same cases.
#include <gtest/gtest.h>

#include "guard/judge.h"

namespace loretoken {
namespace {

NvmlReading cool() {
  NvmlReading reading;
  reading.temperature = 60;
  reading.margin = 25;
  reading.power = 300'000;
  reading.power_limit = 700'000;
  reading.reasons = 0;
  return reading;
}

void expect(const Judgement& found, Strain strain, int64_t figure, int64_t limit) {
  EXPECT_EQ(found.strain, strain);
  EXPECT_EQ(found.figure, figure);
  EXPECT_EQ(found.limit, limit);
}

TEST(GuardJudge, HeatIsJudgedByDegreesWithRoomBeforeCalm) {
  const auto at = [](int temperature) {
    NvmlReading reading = cool();
    reading.temperature = temperature;
    return judge_heat(reading, 85'000);
  };
  expect(at(86), Strain::kBroken, 86'000, 85'000);
  expect(at(85), Strain::kBetween, 85'000, 85'000);
  EXPECT_EQ(at(83).strain, Strain::kBetween);
  EXPECT_EQ(at(82).strain, Strain::kCalm);
}

TEST(GuardJudge, HeatIsJudgedByTheMarginAndSaidInDegreesWhereTheyAreKnown) {
  const auto at = [](int margin, std::optional<int> temperature) {
    NvmlReading reading = cool();
    reading.margin = margin;
    reading.temperature = temperature;
    return judge_heat(reading, -5000);
  };
  expect(at(4, 81), Strain::kBroken, 81'000, 80'000);
  EXPECT_EQ(at(5, 80).strain, Strain::kBetween);
  EXPECT_EQ(at(8, 77).strain, Strain::kCalm);
  expect(at(4, {}), Strain::kBroken, -4000, -5000);
  expect(at(-3, {}), Strain::kBroken, 3000, -5000);
}

TEST(GuardJudge, PowerIsJudgedAsAShareOfTheEnforcedLimit) {
  const auto at = [](uint64_t watts) {
    NvmlReading reading = cool();
    reading.power = watts * 1000;
    return judge_power(reading, 0, 900);
  };
  expect(at(640), Strain::kBroken, 640'000, 630'000);
  EXPECT_EQ(at(620).strain, Strain::kBetween);
  EXPECT_EQ(at(595).strain, Strain::kCalm);
}

TEST(GuardJudge, PowerIsJudgedInWattsAndTheLowerOfTwoLimitsHolds) {
  NvmlReading reading = cool();
  reading.power = 401'000;
  expect(judge_power(reading, 400'000, 0), Strain::kBroken, 401'000, 400'000);
  expect(judge_power(reading, 400'000, 900), Strain::kBroken, 401'000, 400'000);
  expect(judge_power(reading, 650'000, 500), Strain::kBroken, 401'000, 350'000);
  reading.power = 366'000;
  EXPECT_EQ(judge_power(reading, 400'000, 0).strain, Strain::kBetween);
  reading.power = 365'000;
  EXPECT_EQ(judge_power(reading, 400'000, 0).strain, Strain::kCalm);
  reading.power_limit.reset();
  EXPECT_EQ(judge_power(reading, 400'000, 0).strain, Strain::kCalm);
  reading.power = 381'000;
  EXPECT_EQ(judge_power(reading, 400'000, 0).strain, Strain::kBetween) << "5 % of the limit given";
}

TEST(GuardJudge, WhatTheCardSaysItselfCountsWhateverTheFigures) {
  NvmlReading reading = cool();
  for (const uint64_t heat : {0x20u, 0x40u}) {
    reading.reasons = heat;
    expect(judge_heat(reading, 85'000), Strain::kBroken, 60'000, 0);
    EXPECT_EQ(judge_power(reading, 0, 900).strain, Strain::kCalm);
  }
  reading.reasons = 0x80;
  expect(judge_power(reading, 0, 900), Strain::kBroken, 300'000, 0);
  EXPECT_EQ(judge_heat(reading, 85'000).strain, Strain::kCalm);
  reading.reasons = 0x4;
  EXPECT_EQ(judge_power(reading, 0, 900).strain, Strain::kCalm) << "a busy card's everyday";
  reading.reasons = 0x40;
  reading.temperature = 86;
  expect(judge_heat(reading, 85'000), Strain::kBroken, 86'000, 85'000);
  reading.temperature = 84;
  expect(judge_heat(reading, 85'000), Strain::kBroken, 84'000, 0);
}

TEST(GuardJudge, ACardThatTellsNothingIsCalmAndNotKnown) {
  for (const Judgement& found : {judge_heat({}, 85'000), judge_heat({}, -5000), judge_power({}, 0, 900)}) {
    EXPECT_EQ(found.strain, Strain::kCalm);
    EXPECT_FALSE(found.known);
  }
  NvmlReading reading;
  reading.power = 500'000;
  EXPECT_FALSE(judge_power(reading, 0, 900).known) << "a share of an unknown limit";
  EXPECT_TRUE(judge_power(reading, 400'000, 900).known);
  reading.reasons = 0x40;
  EXPECT_EQ(judge_heat(reading, 85'000).strain, Strain::kBroken);
}

TEST(GuardJudge, XidsThatProgramsCauseAreNoFaults) {
  for (const uint64_t xid : {13u, 31u, 43u, 45u, 68u, 109u}) EXPECT_FALSE(is_device_fault(xid)) << xid;
  for (const uint64_t xid : {48u, 63u, 74u, 79u, 94u, 95u, 119u}) EXPECT_TRUE(is_device_fault(xid)) << xid;
}

}  // namespace
}  // namespace loretoken
