// The heap against a model: no overlap, alignment, look-ups, and reuse that waits for the last use.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "memory_doubles.h"
#include "memory_sizes.h"

namespace loretoken {
namespace {

constexpr uint64_t kKiB = uint64_t{1} << 10;

struct Freed {
  uint64_t base, bytes;
  StreamSlot* slot;  // stream-ordered on it; nullptr: freed at once
  Fence fence;
};

class HeapModel : public testing::TestWithParam<std::tuple<bool, uint32_t>> {
 protected:
  HeapModel() : fixture_(limits()), random_(std::get<1>(GetParam())) {}

  static HeapLimits limits() {
    return {.unit_max = 8 * kMiB,
            .shared_below = 4 * kMiB,
            .slab_up_to = 64 * kKiB,
            .shared_unit = 8 * kMiB,
            .strict = std::get<0>(GetParam())};
  }

  uint64_t random_size() {
    switch (random_() % 4) {
      case 0:
        return 1 + random_() % (64 * kKiB);
      case 1:
        return 64 * kKiB + random_() % (4 * kMiB);
      case 2:
        return (1 + random_() % 8) * 256 * kKiB;  // sizes that recur
      default:
        return 4 * kMiB + random_() % (20 * kMiB);
    }
  }

  void allocate() {
    const uint64_t bytes = random_size();
    StreamSlot* slot = random_() % 3 == 0 ? nullptr : &fixture_.ports.slots[random_() % 3];
    CUdeviceptr at = 0;
    const uint64_t waits = fixture_.ports.waits;
    ASSERT_EQ(fixture_.heap->allocate(bytes, slot, nullptr, &at), CUDA_SUCCESS);
    ASSERT_EQ(fixture_.ports.waits, waits) << "waited on the host with room left";
    ASSERT_EQ(at % 512, 0u);
    const auto next = live_.lower_bound(at);
    if (next != live_.end()) {
      ASSERT_LE(at + bytes, next->first);
    }
    if (next != live_.begin()) {
      ASSERT_GE(at, std::prev(next)->first + std::prev(next)->second);
    }
    Unit* unit = unit_at(at);
    ASSERT_NE(unit, nullptr);
    ASSERT_EQ(unit_by_index(unit->row_first + unit->row_count - 1), unit_at(at + bytes - 1));
    for (uint32_t i = 0; i < unit->row_count; ++i) {
      Unit* member = unit_by_index(unit->row_first + i);
      ASSERT_TRUE(member->state == UnitState::kRaw ||
                  (member->kind == UnitKind::kShared && member->state == UnitState::kPacked));
      ASSERT_EQ(member->flags & kFlagIdle, 0);
      if (member->kind == UnitKind::kSingle) {
        const uint64_t end = std::min<uint64_t>(at + ((bytes + 511) & ~511ull), member->base + member->bytes);
        ASSERT_EQ(content_of(*member), end - member->base);
      }
    }
    std::erase_if(freed_, [&](const Freed& freed) {
      if (freed.base >= at + bytes || at >= freed.base + freed.bytes) return false;
      const bool same_stream = freed.slot != nullptr && freed.slot == slot;
      EXPECT_TRUE(same_stream || passed(freed.fence)) << "range handed out while its last use is queued elsewhere";
      return true;
    });
    live_[at] = bytes;
    total_ += (bytes + 511) & ~511ull;
  }

  static bool passed(const Fence& fence) {
    return std::all_of(fence.begin(), fence.end(), [](const Ticket& t) { return t.slot->passed >= t.seq; });
  }

  void free() {
    if (live_.empty()) return;
    const auto it = std::next(live_.begin(), static_cast<long>(random_() % live_.size()));
    StreamSlot* slot = random_() % 3 == 0 ? nullptr : &fixture_.ports.slots[random_() % 3];
    Freed freed{it->first, it->second, slot, {}};
    if (slot == nullptr) {
      freed.fence = fixture_.ports.mark(0, used_by_[it->first]);
    } else {
      freed.fence = {{slot, slot->submitted + 1}};
    }
    ASSERT_EQ(fixture_.heap->free(it->first, slot), CUDA_SUCCESS);
    ASSERT_EQ(fixture_.heap->free(it->first, slot), CUDA_ERROR_INVALID_VALUE) << "freed twice";
    freed_.push_back(freed);
    used_by_.erase(it->first);
    total_ -= (it->second + 511) & ~511ull;
    live_.erase(it);
  }

  void look_up() {
    if (live_.empty()) return;
    const auto it = std::next(live_.begin(), static_cast<long>(random_() % live_.size()));
    const auto inside = fixture_.heap->find(it->first + random_() % it->second);
    ASSERT_TRUE(inside.has_value());
    ASSERT_EQ(inside->base, it->first);
    ASSERT_EQ(inside->bytes, it->second);
    ASSERT_EQ(inside->context, reinterpret_cast<CUcontext>(0x77));
    const uint64_t end = it->first + it->second;
    const auto behind = fixture_.heap->find(end);
    ASSERT_TRUE(behind.has_value());
    ASSERT_EQ(behind->base, live_.count(end) != 0 ? end : it->first);
    std::vector<Unit*> units;
    fixture_.heap->units_of(it->first, it->second, &units);
    ASSERT_EQ(units.size(), unit_at(it->first)->row_count);
  }

  HeapFixture fixture_;
  std::mt19937_64 random_;
  std::map<uint64_t, uint64_t> live_;
  std::map<uint64_t, uint64_t> used_by_;  // base → mask of streams that used it
  std::vector<Freed> freed_;
  uint64_t total_ = 0;
};

TEST_P(HeapModel, HoldsUnderRandomUseOnSeveralStreams) {
  for (int step = 0; step < 6000; ++step) {
    const auto dice = random_() % 20;
    if (dice < 7 && live_.size() < 200) {
      allocate();
    } else if (dice < 13) {
      free();
    } else if (dice < 15) {
      look_up();
    } else if (dice < 17 && !live_.empty()) {
      const auto it = std::next(live_.begin(), static_cast<long>(random_() % live_.size()));
      StreamSlot& slot = fixture_.ports.slots[random_() % 3];
      fixture_.ports.use(slot, it->first);
      used_by_[it->first] |= slot.mask();
    } else if (dice == 17) {
      fixture_.ports.advance(fixture_.ports.slots[random_() % 3]);
    } else if (Unit* unit = unit_by_index(1 + static_cast<uint32_t>(random_() % unit_count()))) {
      dice == 18 ? fixture_.residency->reclaim(*unit) : fixture_.residency->pack(*unit);
    }
    if (HasFatalFailure()) return;
    ASSERT_EQ(fixture_.heap->live_bytes(), total_);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, HeapModel, testing::Combine(testing::Bool(), testing::Range(1u, 13u)));

class HeapTest : public testing::Test {
 protected:
  CUdeviceptr allocate(uint64_t bytes, StreamSlot* slot = nullptr) {
    CUdeviceptr at = 0;
    EXPECT_EQ(fixture_.heap->allocate(bytes, slot, nullptr, &at), CUDA_SUCCESS);
    return at;
  }
  UnitHeap& heap() { return *fixture_.heap; }
  StreamSlot& stream(size_t i) { return fixture_.ports.slots[i]; }
  HeapFixture fixture_;
};

TEST_F(HeapTest, FreeInStreamOrderServesTheSameStreamAtOnceAndOthersWhenItHasPassed) {
  for (const uint64_t bytes : {uint64_t{4096}, 3 * kMiB, 64 * kMiB, 300 * kMiB}) {
    const CUdeviceptr first = allocate(bytes, &stream(0));
    fixture_.ports.use(stream(0), first);
    ASSERT_EQ(heap().free(first, &stream(0)), CUDA_SUCCESS);
    const CUdeviceptr other = allocate(bytes, &stream(1));
    EXPECT_NE(other, first) << bytes;
    const CUdeviceptr anyone = allocate(bytes, nullptr);
    EXPECT_NE(anyone, first) << bytes;
    EXPECT_EQ(allocate(bytes, &stream(0)), first) << bytes;
    ASSERT_EQ(heap().free(first, &stream(0)), CUDA_SUCCESS);
    fixture_.ports.advance(stream(0));
    EXPECT_EQ(allocate(bytes, &stream(1)), first) << bytes;
  }
}

TEST_F(HeapTest, FreeAtOnceWaitsForEveryStreamThatUsedTheRange) {
  const CUdeviceptr first = allocate(64 * kMiB);
  fixture_.ports.use(stream(0), first);
  fixture_.ports.use(stream(1), first);
  ASSERT_EQ(heap().free(first, nullptr), CUDA_SUCCESS);
  fixture_.ports.advance(stream(0));
  EXPECT_NE(allocate(64 * kMiB, &stream(0)), first);
  fixture_.ports.advance(stream(1));
  EXPECT_EQ(allocate(64 * kMiB, &stream(0)), first);
  EXPECT_EQ(fixture_.ports.waits, 0u);
}

TEST_F(HeapTest, ATargetOfStoredPointersIsFencedAgainstStreamsThatNeverNamedIt) {
  const CUdeviceptr first = allocate(64 * kMiB);
  unit_at(first)->flags |= kFlagIsTarget;
  ++stream(2).submitted;
  ASSERT_EQ(heap().free(first, nullptr), CUDA_SUCCESS);
  EXPECT_NE(allocate(64 * kMiB), first);
  fixture_.ports.advance(stream(2));
  EXPECT_EQ(allocate(64 * kMiB), first);
  EXPECT_EQ(unit_at(first)->flags & kFlagIsTarget, 0);
}

TEST_F(HeapTest, OverTheVirtualSizeIsOutOfMemoryAndForeignMemoryCounts) {
  fixture_.device.virtual_size = 100 * kMiB;
  const CUdeviceptr first = allocate(64 * kMiB);
  CUdeviceptr at = 0;
  EXPECT_EQ(heap().allocate(37 * kMiB, nullptr, nullptr, &at), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(heap().allocate(~uint64_t{0}, nullptr, nullptr, &at), CUDA_ERROR_OUT_OF_MEMORY);
  fixture_.physical->foreign_bytes = 20 * kMiB;
  EXPECT_EQ(heap().allocate(20 * kMiB, nullptr, nullptr, &at), CUDA_ERROR_OUT_OF_MEMORY);
  fixture_.physical->foreign_bytes = 0;
  EXPECT_EQ(heap().allocate(20 * kMiB, nullptr, nullptr, &at), CUDA_SUCCESS);
  EXPECT_EQ(heap().allocate(0, nullptr, nullptr, &at), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(heap().free(first + 512, nullptr), CUDA_ERROR_INVALID_VALUE) << "not the base";
}

TEST_F(HeapTest, WithoutRoomItWaitsOnceForFreedRangesAndThenSaysOutOfMemory) {
  fixture_.residency->room = 128 * kMiB;
  const CUdeviceptr first = allocate(64 * kMiB);
  const CUdeviceptr second = allocate(64 * kMiB);
  CUdeviceptr at = 0;
  EXPECT_EQ(heap().allocate(32 * kMiB, nullptr, nullptr, &at), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(heap().live_bytes(), 128 * kMiB);
  fixture_.ports.use(stream(0), first);
  ASSERT_EQ(heap().free(first, nullptr), CUDA_SUCCESS);
  EXPECT_EQ(heap().allocate(32 * kMiB, nullptr, nullptr, &at), CUDA_SUCCESS);
  EXPECT_GE(fixture_.ports.waits, 1u);
  EXPECT_EQ(heap().free(second, nullptr), CUDA_SUCCESS);
}

TEST_F(HeapTest, ContentAndPinsEndWithTheAllocation) {
  const CUdeviceptr at = allocate(64 * kMiB);
  Unit* unit = unit_at(at);
  fixture_.residency->pack(*unit);
  ASSERT_EQ(unit->state, UnitState::kPacked);
  ASSERT_EQ(heap().free(at, nullptr), CUDA_SUCCESS);
  EXPECT_EQ(fixture_.residency->discarded.count(unit), 1u);
  EXPECT_EQ(unit->state, UnitState::kUnbacked);
  EXPECT_NE(unit->flags & kFlagIdle, 0);
  EXPECT_EQ(allocate(64 * kMiB), at);
  EXPECT_EQ(unit->state, UnitState::kRaw);
  fixture_.residency->pin(*unit, Pin::kTexture);
  ASSERT_EQ(heap().free(at, nullptr), CUDA_SUCCESS);
  EXPECT_EQ(unit->pins, 0u);
}

TEST_F(HeapTest, ASharedUnitIsIdleOnlyWithoutMembers) {
  const CUdeviceptr a = allocate(3 * kMiB);
  const CUdeviceptr b = allocate(3 * kMiB);
  Unit* unit = unit_at(a);
  ASSERT_EQ(unit, unit_at(b));
  EXPECT_EQ(b, a + 3 * kMiB) << "made together, lie together";
  ASSERT_EQ(heap().free(a, nullptr), CUDA_SUCCESS);
  EXPECT_EQ(unit->flags & kFlagIdle, 0);
  fixture_.residency->pack(*unit);
  EXPECT_EQ(unit_at(allocate(3 * kMiB)), unit) << "its freed member is used again";
  EXPECT_EQ(unit->state, UnitState::kPacked) << "the other member's content stays";
  ASSERT_EQ(heap().free(b, nullptr), CUDA_SUCCESS);
  ASSERT_EQ(heap().free(a, nullptr), CUDA_SUCCESS);
  EXPECT_NE(unit->flags & kFlagIdle, 0);
  EXPECT_EQ(unit->state, UnitState::kUnbacked);
}

TEST_F(HeapTest, SmallAllocationsLiveInSlabsThatStayRaw) {
  std::vector<CUdeviceptr> cells;
  for (int i = 0; i < 100; ++i) cells.push_back(allocate(1000));
  EXPECT_EQ(unit_at(cells.front()), unit_at(cells.back())) << "100 KiB of cells need one unit";
  EXPECT_EQ(unit_at(cells.front())->pins & 1u << static_cast<int>(Pin::kSmall), 1u << static_cast<int>(Pin::kSmall));
  for (const CUdeviceptr cell : cells) ASSERT_EQ(heap().free(cell, nullptr), CUDA_SUCCESS);
  EXPECT_NE(unit_at(cells.front())->pins, 0u);
}

TEST_F(HeapTest, IdsAreUniqueAndPoolsAreCountedApart) {
  auto* pool = reinterpret_cast<CUmemoryPool>(0x10);
  CUdeviceptr a = 0;
  ASSERT_EQ(heap().allocate(5 * kMiB, &stream(0), pool, &a), CUDA_SUCCESS);
  const CUdeviceptr b = allocate(5 * kMiB);
  EXPECT_NE(heap().find(a)->id, heap().find(b)->id);
  EXPECT_EQ(heap().find(a)->pool, pool);
  EXPECT_EQ(heap().pool_use(pool).live, 5 * kMiB);
  ASSERT_EQ(heap().free(a, &stream(0)), CUDA_SUCCESS);
  EXPECT_EQ(heap().pool_use(pool).live, 0u);
  EXPECT_EQ(heap().pool_use(pool).peak, 5 * kMiB);
  heap().reset_peak(pool, false);
  EXPECT_EQ(heap().pool_use(pool).peak, 0u);
  EXPECT_EQ(heap().pool_use(pool).reserved_peak, 5 * kMiB);
}

}  // namespace
}  // namespace loretoken
