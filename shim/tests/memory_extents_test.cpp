// Address arithmetic: size classes, free ranges, the window's rules, the page table.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "memory/address_space.h"
#include "memory/extents.h"
#include "memory/page_table.h"
#include "memory/physical.h"
#include "memory/rows.h"
#include "memory_sizes.h"

namespace loretoken {
namespace {

constexpr uint64_t kGiB = uint64_t{1} << 30;

TEST(SizeClass, IsAMultipleOfThePageNeverSmallerAndMonotonic) {
  uint64_t last = 0;
  for (uint64_t bytes = 1; bytes < 3 * kGiB; bytes += bytes / 97 + 4093) {
    const uint64_t size = size_class(bytes);
    EXPECT_GE(size, bytes);
    EXPECT_EQ(size % kPageBytes, 0u);
    EXPECT_GE(size, last);
    EXPECT_EQ(size_class(size), size) << "a class is its own class";
    last = size;
  }
}

TEST(SizeClass, WastesAnEighthAtMostFromSixteenMiBOn) {
  for (uint64_t bytes = 16 * kMiB; bytes < 2 * kGiB; bytes += bytes / 211 + 1) {
    EXPECT_LE(8 * (size_class(bytes) - bytes), bytes) << bytes;
  }
}

TEST(SizeClass, HasEightClassesPerDoubling) {
  EXPECT_EQ(size_class(1), 2 * kMiB);
  EXPECT_EQ(size_class(2 * kMiB + 1), 4 * kMiB);
  EXPECT_EQ(size_class(16 * kMiB), 16 * kMiB);
  EXPECT_EQ(size_class(16 * kMiB + 1), 18 * kMiB);
  EXPECT_EQ(size_class(64 * kMiB), 64 * kMiB);
  EXPECT_EQ(size_class(64 * kMiB + 1), 72 * kMiB);
}

TEST(Extents, AgreesWithAModelUnderRandomUse) {
  std::mt19937_64 random(7);
  Extents extents;
  std::vector<bool> is_free(512, false);
  std::map<uint64_t, uint64_t> held;  // base → bytes
  extents.insert(0, 512);
  is_free.assign(512, true);
  for (int step = 0; step < 20000; ++step) {
    if (random() % 2 == 0 || held.empty()) {
      const uint64_t bytes = 1 + random() % 40;
      uint64_t longest = 0;
      for (uint64_t i = 0, run = 0; i < 512; ++i) longest = std::max(longest, run = is_free[i] ? run + 1 : 0);
      ASSERT_EQ(extents.largest(), longest);
      uint64_t base = 0;
      const bool got = extents.take(bytes, &base);
      ASSERT_EQ(got, longest >= bytes);
      if (!got) continue;
      for (uint64_t i = base; i < base + bytes; ++i) {
        ASSERT_TRUE(is_free[i]);
        is_free[i] = false;
      }
      held[base] = bytes;
    } else {
      auto it = std::next(held.begin(), static_cast<long>(random() % held.size()));
      extents.insert(it->first, it->second);
      for (uint64_t i = it->first; i < it->first + it->second; ++i) is_free[i] = true;
      held.erase(it);
    }
    ASSERT_EQ(extents.total(), static_cast<uint64_t>(std::count(is_free.begin(), is_free.end(), true)));
  }
}

class AddressSpaceAt : public testing::TestWithParam<uint64_t> {};

TEST_P(AddressSpaceAt, NeverHandsOutTheFirstSixteenMiBOfARegion) {
  AddressSpace space(GetParam(), 32 * kGiB);
  std::mt19937_64 random(3);
  std::map<uint64_t, uint64_t> held;
  for (int step = 0; step < 4000; ++step) {
    if (random() % 3 != 0 || held.empty()) {
      const uint64_t bytes = kPageBytes * (1 + random() % (random() % 8 == 0 ? 600 : 40));
      const uint64_t base = space.take(bytes);
      if (base == 0) continue;
      EXPECT_GE(base, GetParam());
      EXPECT_LE(base + bytes, GetParam() + 32 * kGiB);
      for (uint64_t at = base; at < base + bytes; at += kPageBytes) EXPECT_GE(at % kRegionBytes, kHoleBytes);
      auto next = held.lower_bound(base);
      if (next != held.end()) {
        EXPECT_LE(base + bytes, next->first);
      }
      if (next != held.begin()) {
        EXPECT_GE(base, std::prev(next)->first + std::prev(next)->second);
      }
      held[base] = bytes;
    } else {
      auto it = std::next(held.begin(), static_cast<long>(random() % held.size()));
      space.release(it->first, it->second);
      held.erase(it);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Bases, AddressSpaceAt,
                         testing::Values(0x7C1000000000ull, 0x7C1000000000ull + 6 * kMiB, 0x10C0000000ull));

TEST(AddressSpace, AnExtentLargerThanARegionSpansHolesAndComesBackWhole) {
  AddressSpace space(0x7C1000000000ull, 32 * kGiB);
  const uint64_t before = space.free_bytes();
  const uint64_t bytes = 9 * kGiB;
  const uint64_t base = space.take(bytes);
  ASSERT_NE(base, 0u);
  EXPECT_GE(base % kRegionBytes, kHoleBytes);
  const uint64_t other = space.take(9 * kGiB);
  ASSERT_NE(other, 0u);
  EXPECT_TRUE(other >= base + bytes || base >= other + bytes);
  EXPECT_EQ(space.take(20 * kGiB), 0u);
  space.release(base, bytes);
  space.release(other, bytes);
  EXPECT_EQ(space.free_bytes(), before);
  EXPECT_NE(space.take(31 * kGiB), 0u);
}

TEST(PageTable, FindsUnitsTheirGuardsAndNothingElse) {
  ASSERT_TRUE(install_window(0x7C1000000000ull, 8 * kGiB));
  Unit* row = make_row(10 * kMiB, 4 * kMiB, 1, UnitKind::kSingle, 10 * kMiB);
  ASSERT_NE(row, nullptr);
  ASSERT_EQ(row->row_count, 3u);
  Unit* last = unit_in_row(row, 2);
  EXPECT_EQ(row->device, 1);
  EXPECT_EQ(last->bytes, 2 * kMiB);
  EXPECT_EQ(unit_at(row->base), row);
  EXPECT_EQ(unit_at(row->base + 4 * kMiB - 1), row);
  EXPECT_EQ(unit_at(row->base + 4 * kMiB), unit_in_row(row, 1));
  EXPECT_EQ(unit_at(last->base + last->bytes), last) << "the address just behind belongs to it";
  EXPECT_EQ(unit_at(last->base + last->bytes + kGuardBytes), nullptr);
  EXPECT_EQ(unit_at(row->base - 1), nullptr);
  EXPECT_EQ(unit_at(0x1234), nullptr);
  EXPECT_EQ(unit_at(window().base + window().bytes), nullptr);

  Unit* next = make_row(2 * kMiB, 4 * kMiB, 1, UnitKind::kSingle, 0);
  ASSERT_EQ(next->base, last->base + last->bytes + kGuardBytes);
  EXPECT_EQ(unit_after_guard(next->base - 1), next);
  EXPECT_EQ(unit_after_guard(row->base), nullptr);
  EXPECT_EQ(unit_by_index(row->index), row);
  EXPECT_GT(unit_count(), next->index);
  const uint32_t index = row->index;
  const uint64_t base = row->base;
  destroy_row(row);
  EXPECT_EQ(unit_at(base), nullptr);
  EXPECT_EQ(unit_by_index(index), nullptr);
  destroy_row(next);
}

TEST(PageTable, ContentOfARowEndsWhereTheAllocationEnds) {
  ASSERT_TRUE(install_window(0x7C1000000000ull, 8 * kGiB));
  Unit* row = make_row(9 * kMiB, 4 * kMiB, 0, UnitKind::kSingle, 9 * kMiB);
  EXPECT_EQ(content_of(*row), 4 * kMiB);
  EXPECT_EQ(content_of(*unit_in_row(row, 2)), 1 * kMiB);
  destroy_row(row);
}

}  // namespace
}  // namespace loretoken
