#include "residency/reach_set.h"

#include <gtest/gtest.h>

#include <deque>
#include <set>

#include "residency/policy.h"

namespace loretoken {
namespace {

std::deque<Unit> make_units(uint32_t count) {
  std::deque<Unit> units;
  for (uint32_t i = 0; i < count; ++i) {
    units.emplace_back();
    units.back().index = i + 1;
    units.back().bytes = kPageBytes;
  }
  return units;
}

TEST(ReachSet, HoldsEachUnitOnceInlineAndSpilled) {
  auto units = make_units(1000);
  for (const uint32_t count : {1u, ReachSet::kInline, ReachSet::kInline + 1, 1000u}) {
    ReachSet set;
    for (int round = 0; round < 3; ++round) {
      for (uint32_t i = 0; i < count; ++i) set.add(&units[i]);
    }
    EXPECT_EQ(set.size(), count);
    EXPECT_EQ(std::set<Unit*>(set.begin(), set.end()).size(), count);
    for (uint32_t i = 0; i < 1000; ++i) EXPECT_EQ(set.contains(&units[i]), i < count) << count << " " << i;
  }
}

TEST(ReachSet, IsEmptyAfterClear) {
  auto units = make_units(100);
  ReachSet set;
  for (Unit& unit : units) set.add(&unit);
  set.everything = true;
  set.clear();
  EXPECT_EQ(set.size(), 0u);
  EXPECT_FALSE(set.everything);
  EXPECT_FALSE(set.contains(&units[0]));
  set.add(&units[3]);
  EXPECT_EQ(set.size(), 1u);
}

TEST(Policy, TakesTheColdestUntilTheBytesAreThere) {
  auto units = make_units(5);
  std::vector<Unit*> candidates;
  const uint64_t reached[] = {50, 10, 40, 20, 30};
  for (size_t i = 0; i < 5; ++i) {
    units[i].last_reach = reached[i];
    candidates.push_back(&units[i]);
  }
  EXPECT_EQ(choose_victims(candidates, kPageBytes + 1, 8), (std::vector<Unit*>{&units[1], &units[3]}));
  EXPECT_EQ(choose_victims(candidates, ~uint64_t{0}, 3), (std::vector<Unit*>{&units[1], &units[3], &units[4]}));
  EXPECT_TRUE(choose_victims(candidates, 0, 8).empty());
}

TEST(Policy, PrefersTheLargerOfTwoOfTheSameAge) {
  auto units = make_units(2);
  units[1].bytes = 2 * kPageBytes;
  std::vector<Unit*> candidates{&units[0], &units[1]};
  EXPECT_EQ(choose_victims(candidates, 1, 8), std::vector<Unit*>{&units[1]});
}

}  // namespace
}  // namespace loretoken
