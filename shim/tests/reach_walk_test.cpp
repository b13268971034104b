#include "reach/walk.h"

#include "reach/core.h"
#include "reach_doubles.h"

namespace loretoken {
namespace {

class WalkTest : public WindowTest {
 protected:
  ReachSet of_words(std::initializer_list<uint64_t> words) {
    ReachSet set;
    Walk walk(&set);
    for (const uint64_t word : words) walk.word(word);
    Closure closure;
    walk.close(edges_, &closure);
    return set;
  }
  static void set_sizes(FunctionInfo& info, std::initializer_list<uint32_t> sizes) {
    info.has_layout = true;
    uint32_t index = 0;
    for (const uint32_t size : sizes) {
      if (size >= 8) info.slices.push_back({index, (size - 4) / 4});
      ++index;
    }
  }
  Edges edges_;
};

TEST_F(WalkTest, NumbersOutsideTheWindowReachNothing) {
  make(1);
  EXPECT_EQ(of_words({0, 1, 42, 0x7fff'0000'0000, ~uint64_t{0}}).size(), 0U);
}

TEST_F(WalkTest, AnyAddressInAUnitReachesIt) {
  Unit* unit = make(3);
  for (const uint64_t at : {unit->base, unit->base + 1, unit->base + unit->bytes - 1, unit->base + unit->bytes}) {
    EXPECT_TRUE(of_words({at}).contains(unit)) << at - unit->base;
  }
}

TEST_F(WalkTest, AnAddressInAGuardPageReachesBothNeighbours) {
  Unit* before = make(1);
  Unit* after = make(1);
  const ReachSet set = of_words({after->base - 8});
  EXPECT_TRUE(set.contains(before));
  EXPECT_TRUE(set.contains(after));
}

TEST_F(WalkTest, AnAllocationOfSeveralUnitsIsReachedWhole) {
  Unit* row = make(2, 4);
  EXPECT_EQ(of_words({unit_in_row(row, 2)->base + 8}).size(), 4U);
}

TEST_F(WalkTest, WhatIsFreedIsNotReached) {
  Unit* unit = make(1);
  unit->flags = kFlagIdle;
  EXPECT_EQ(of_words({unit->base}).size(), 0U);
}

TEST_F(WalkTest, PointersInStructParametersAtFourByteSteps) {
  Unit* a = make(1);
  Unit* b = make(1);
  struct __attribute__((packed)) Param {
    uint32_t count;
    uint64_t first;
    uint32_t stride;
    uint64_t second;
  } param = {7, a->base + 64, 3, b->base};
  static_assert(sizeof(Param) == 24);
  int number = 5;
  void* params[] = {&number, &param};
  ReachSet set;
  Walk walk(&set);
  FunctionInfo info;
  set_sizes(info, {4, 24});
  walk_params(info, params, nullptr, &walk);
  EXPECT_EQ(set.size(), 2U);
  EXPECT_TRUE(set.contains(a) && set.contains(b));
}

TEST_F(WalkTest, TwoShortParametersAreNoAddress) {
  Unit* unit = make(1);
  auto low = static_cast<uint32_t>(unit->base);
  auto high = static_cast<uint32_t>(unit->base >> 32);
  void* params[] = {&low, &high};
  ReachSet set;
  Walk walk(&set);
  FunctionInfo info;
  set_sizes(info, {4, 4});
  walk_params(info, params, nullptr, &walk);
  EXPECT_EQ(set.size(), 0U);
}

TEST_F(WalkTest, TheExtraBufferIsReadWholeEvenWithoutALayout) {
  Unit* unit = make(1);
  unsigned char buffer[44] = {};
  std::memcpy(buffer + 36, &unit->base, 8);
  size_t bytes = sizeof(buffer);
  void* extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, buffer, CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes, CU_LAUNCH_PARAM_END};
  ReachSet set;
  Walk walk(&set);
  const FunctionInfo info;
  walk_params(info, nullptr, extra, &walk);
  EXPECT_TRUE(set.contains(unit));
  EXPECT_FALSE(set.everything);
}

TEST_F(WalkTest, WithoutALayoutParametersMayReachEverything) {
  void* params[] = {nullptr};
  ReachSet set;
  Walk walk(&set);
  const FunctionInfo info;
  walk_params(info, params, nullptr, &walk);
  EXPECT_TRUE(set.everything);
}

TEST_F(WalkTest, WhatAPinnedBufferHoldsIsReached) {
  Unit* unit = make(1);
  std::vector<uint64_t> pinned(1000, 1);
  pinned[777] = unit->base + 16;
  const auto host = reinterpret_cast<uint64_t>(pinned.data());
  known_range_add(host, host, pinned.size() * 8, RangeKind::kPinned);
  EXPECT_TRUE(of_words({host + 64}).contains(unit)) << "read from its start, whatever the parameter points to";
  pinned[777] = 0;
  EXPECT_EQ(of_words({host}).size(), 0U) << "read again at each launch";
  EXPECT_TRUE(known_range_remove(host));
  pinned[777] = unit->base;
  EXPECT_EQ(of_words({host}).size(), 0U);
  EXPECT_FALSE(known_range_remove(host));
}

TEST_F(WalkTest, PinnedBuffersAreFollowedThroughDeviceAliasesAndEachOther) {
  Unit* unit = make(1);
  std::vector<uint64_t> inner(64, 0);
  std::vector<uint64_t> outer(64, 0);
  inner[3] = unit->base;
  const auto inner_host = reinterpret_cast<uint64_t>(inner.data());
  const auto outer_host = reinterpret_cast<uint64_t>(outer.data());
  const uint64_t inner_alias = 0x1234'5600'0000;
  known_range_add(inner_host, inner_alias, 512, RangeKind::kPinned);
  known_range_add(outer_host, outer_host, 512, RangeKind::kPinned);
  outer[0] = inner_alias + 8;
  outer[9] = outer_host;  // a cycle
  EXPECT_TRUE(of_words({outer_host}).contains(unit));
  EXPECT_TRUE(of_words({inner_alias}).contains(unit));
  known_range_remove(inner_host);
  known_range_remove(outer_host);
}

TEST_F(WalkTest, ManagedMemoryIsAHolderThatTheCpuDoesNotRead) {
  Unit* unit = make(1);
  const uint64_t managed = 0x2000'0000'0000;  // reading it would fault
  known_range_add(managed, managed, 1 << 20, RangeKind::kManaged);
  const std::vector<uint32_t> target = {page_of(unit->base)};
  edges_.add({managed, 1 << 20, false}, target, false);
  ReachSet set;
  Walk walk(&set);
  walk.word(managed + 4096);
  EXPECT_TRUE(walk.managed());
  Closure closure;
  walk.close(edges_, &closure);
  EXPECT_TRUE(set.contains(unit));
  known_range_remove(managed);
}

TEST_F(WalkTest, ParametersLeadThroughHolders) {
  Unit* holder = make(1);
  Unit* target = make(1);
  const std::vector<uint32_t> pages = {page_of(target->base)};
  edges_.add({holder->base, 4096, false}, pages, false);
  EXPECT_TRUE(of_words({holder->base + 8}).contains(target));
  EXPECT_FALSE(of_words({target->base}).contains(holder));
}

}  // namespace
}  // namespace loretoken
