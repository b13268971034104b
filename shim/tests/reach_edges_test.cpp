#include "reach/edges.h"

#include <algorithm>

#include "reach_doubles.h"

namespace loretoken {
namespace {

class EdgesTest : public WindowTest {
 protected:
  static HolderRange whole(const Unit* unit) { return {unit->base, unit->bytes, false}; }
  static std::vector<uint32_t> pages(std::initializer_list<const Unit*> units) {
    std::vector<uint32_t> all;
    for (const Unit* unit : units) all.push_back(page_of(unit->base));
    std::sort(all.begin(), all.end());
    return all;
  }
  ReachSet closed(uint64_t address, Closure* closure = nullptr) {
    ReachSet set;
    Closure own;
    edges_.close({&address, 1}, &set, closure != nullptr ? closure : &own);
    return set;
  }
  Edges edges_;
};

TEST_F(EdgesTest, WhatAHolderHoldsIsReachedThroughIt) {
  Unit* holder = make(1);
  Unit* target = make(4);
  Unit* other = make(1);
  edges_.add(whole(holder), pages({target}), false);
  EXPECT_NE(holder->flags & kFlagHoldsEdges, 0);
  EXPECT_NE(target->flags & kFlagIsTarget, 0);
  EXPECT_EQ(other->flags, 0);
  const ReachSet set = closed(holder->base + 100);
  EXPECT_EQ(set.size(), 1U);
  EXPECT_TRUE(set.contains(target));
  EXPECT_EQ(closed(other->base).size(), 0U);
}

TEST_F(EdgesTest, ClosureIsTransitiveAndEndsOnCycles) {
  Unit* a = make(1);
  Unit* b = make(1);
  Unit* c = make(1);
  edges_.add(whole(a), pages({b}), false);
  edges_.add(whole(b), pages({c}), false);
  edges_.add(whole(c), pages({a, c}), false);
  const ReachSet set = closed(a->base);
  EXPECT_EQ(set.size(), 3U);
  EXPECT_TRUE(set.contains(c));
}

TEST_F(EdgesTest, ATargetInARowReachesTheWholeRow) {
  Unit* holder = make(1);
  Unit* row = make(2, 3);
  edges_.add(whole(holder), std::vector<uint32_t>{page_of(unit_in_row(row, 1)->base)}, false);
  const ReachSet set = closed(holder->base);
  ASSERT_EQ(set.size(), 3U);
  for (uint32_t i = 0; i < 3; ++i) EXPECT_TRUE(set.contains(unit_in_row(row, i)));
}

TEST_F(EdgesTest, NeighboursInASharedUnitDoNotHoldForEachOther) {
  Unit* shared = make(1, 1, UnitKind::kShared);
  Unit* target = make(1);
  edges_.add({shared->base, 4096, false}, pages({target}), false);
  EXPECT_EQ(closed(shared->base + 4000).size(), 1U);
  EXPECT_EQ(closed(shared->base + 4096).size(), 1U) << "one past the end";
  EXPECT_EQ(closed(shared->base + 65536).size(), 0U);
}

TEST_F(EdgesTest, APageThatOthersShareHoldsForAllOfIt) {
  Unit* shared = make(2, 1, UnitKind::kShared);
  Unit* target = make(1);
  const HolderRange page{shared->base + kPageBytes, kPageBytes, true};
  const uint64_t ticket = edges_.scan_queued(page, ScanOf::kWrites);
  edges_.scan_reported(page, ticket, pages({target}), true, ScanOf::kWrites, 0);
  EXPECT_EQ(closed(shared->base + kPageBytes + 70000).size(), 1U);
  EXPECT_EQ(closed(shared->base + 100).size(), 0U);
}

TEST_F(EdgesTest, ARescanThatNoLongerFindsAnEdgeEndsIt) {
  Unit* holder = make(1);
  Unit* target = make(1);
  uint64_t ticket = edges_.scan_queued(whole(holder), ScanOf::kWrites);
  EXPECT_NE(holder->flags & kFlagScanPending, 0);
  Edges::Report report = edges_.scan_reported(whole(holder), ticket, pages({target}), true, ScanOf::kWrites, 0);
  EXPECT_TRUE(report.found && report.found_new);
  EXPECT_EQ(holder->flags & kFlagScanPending, 0);
  ticket = edges_.scan_queued(whole(holder), ScanOf::kWrites);
  report = edges_.scan_reported(whole(holder), ticket, pages({target}), true, ScanOf::kWrites, 0);
  EXPECT_TRUE(report.found);
  EXPECT_FALSE(report.found_new);
  ticket = edges_.scan_queued(whole(holder), ScanOf::kWrites);
  edges_.scan_reported(whole(holder), ticket, {}, true, ScanOf::kWrites, 0);
  EXPECT_EQ(closed(holder->base).size(), 0U);
  EXPECT_EQ(holder->flags & kFlagHoldsEdges, 0);
  EXPECT_EQ(edges_.live(), 0U);
}

TEST_F(EdgesTest, AScanDoesNotEraseWhatWasCopiedBehindIt) {
  Unit* holder = make(1);
  Unit* target = make(1);
  const uint64_t ticket = edges_.scan_queued(whole(holder), ScanOf::kWrites);
  edges_.add(whole(holder), pages({target}), false);
  edges_.scan_reported(whole(holder), ticket, {}, true, ScanOf::kWrites, 0);
  EXPECT_TRUE(closed(holder->base).contains(target));
}

TEST_F(EdgesTest, AnIncompleteScanMeansEverythingUntilACompleteOne) {
  Unit* holder = make(1);
  uint64_t ticket = edges_.scan_queued(whole(holder), ScanOf::kWrites);
  edges_.scan_reported(whole(holder), ticket, {}, false, ScanOf::kWrites, 0);
  EXPECT_TRUE(closed(holder->base).everything);
  ticket = edges_.scan_queued(whole(holder), ScanOf::kWrites);
  edges_.scan_reported(whole(holder), ticket, {}, true, ScanOf::kWrites, 0);
  EXPECT_FALSE(closed(holder->base).everything);
}

TEST_F(EdgesTest, AnUnseenCopyIsKnownAsPending) {
  Unit* holder = make(1);
  const uint64_t ticket = edges_.scan_queued(whole(holder), ScanOf::kUnseenCopy);
  Closure closure;
  closed(holder->base, &closure);
  EXPECT_TRUE(closure.copy_pending);
  edges_.scan_reported(whole(holder), ticket, {}, true, ScanOf::kUnseenCopy, 0);
  Closure after;
  closed(holder->base, &after);
  EXPECT_FALSE(after.copy_pending);
}

TEST_F(EdgesTest, FreeingAHolderEndsItsEdgesAndItsScans) {
  Unit* holder = make(1);
  Unit* target = make(1);
  edges_.add(whole(holder), pages({target}), false);
  const uint64_t ticket = edges_.scan_queued(whole(holder), ScanOf::kWrites);
  edges_.freed(holder->base, holder->bytes);
  EXPECT_EQ(holder->flags, 0);
  // The address serves a new allocation; the old scan's report is not about it.
  const uint64_t fresh = edges_.scan_queued(whole(holder), ScanOf::kWrites);
  edges_.scan_reported(whole(holder), ticket, pages({target}), true, ScanOf::kWrites, 0);
  EXPECT_EQ(closed(holder->base).size(), 0U);
  EXPECT_NE(holder->flags & kFlagScanPending, 0);
  edges_.scan_reported(whole(holder), fresh, {}, true, ScanOf::kWrites, 0);
  EXPECT_EQ(holder->flags, 0);
}

TEST_F(EdgesTest, AScanOfAFreedHolderStillTellsWhatItFound) {
  Unit* holder = make(1);
  Unit* target = make(1);
  const uint64_t ticket = edges_.scan_queued(whole(holder), ScanOf::kWrites);
  const uint64_t queued = reach_clock();
  edges_.freed(holder->base, holder->bytes);
  Edges::Report report = edges_.scan_reported(whole(holder), ticket, pages({target}), true, ScanOf::kWrites, queued);
  EXPECT_TRUE(report.found);
  EXPECT_EQ(report.fresh.size(), 1U);
  EXPECT_EQ(edges_.live(), 0U);
  // The target is freed as well, after the scan was queued; before it, the number meant nothing.
  target->idle_since = reach_clock();
  target->flags |= kFlagIdle;
  EXPECT_TRUE(edges_.scan_reported(whole(holder), ticket, pages({target}), true, ScanOf::kWrites, queued).found);
  EXPECT_FALSE(
      edges_.scan_reported(whole(holder), ticket, pages({target}), true, ScanOf::kWrites, reach_clock()).found);
}

TEST_F(EdgesTest, WhoLivesOnATargetPageIsLookedUpWhenUsed) {
  Unit* holder = make(1);
  Unit* first = make(1);
  edges_.add(whole(holder), pages({first}), false);
  const uint64_t base = first->base;
  first->flags = kFlagIdle;
  EXPECT_EQ(closed(holder->base).size(), 0U) << "nothing lives there";
  first->state = UnitState::kUnbacked;
  retire_units(first);
  EXPECT_EQ(closed(holder->base).size(), 0U);
  const uint64_t size = kPageBytes;
  Unit* second = create_units(base, &size, 1, 0, UnitKind::kSingle);
  second->flags = 0;
  EXPECT_TRUE(closed(holder->base).contains(second));
}

TEST_F(EdgesTest, NumbersThatLookLikeAddressesAreNoEdges) {
  Unit* holder = make(1);
  const uint64_t ticket = edges_.scan_queued(whole(holder), ScanOf::kWrites);
  const std::vector<uint32_t> nowhere = {page_of(kBase + (uint64_t{1} << 35))};
  const Edges::Report report = edges_.scan_reported(whole(holder), ticket, nowhere, true, ScanOf::kWrites, 0);
  EXPECT_EQ(report.false_alarms, 1U);
  EXPECT_FALSE(report.found);
  EXPECT_EQ(edges_.live(), 0U);
}

TEST_F(EdgesTest, ACopyOnTheDeviceTakesTheEdgesAlong) {
  Unit* a = make(1);
  Unit* b = make(1);
  Unit* target = make(1);
  edges_.add(whole(a), pages({target}), false);
  edges_.inherit(whole(b), a->base, 4096);
  EXPECT_TRUE(closed(b->base).contains(target));
  edges_.freed(a->base, a->bytes);
  EXPECT_TRUE(closed(b->base).contains(target));
}

TEST_F(EdgesTest, AWholeNewContentReplacesTheEdges) {
  Unit* holder = make(1);
  Unit* old = make(1);
  Unit* fresh = make(1);
  edges_.add(whole(holder), pages({old}), false);
  edges_.add(whole(holder), pages({fresh}), true);
  const ReachSet set = closed(holder->base);
  EXPECT_FALSE(set.contains(old));
  EXPECT_TRUE(set.contains(fresh));
}

}  // namespace
}  // namespace loretoken
