// Room for blobs: in chunks of VRAM and in pinned chunks of host memory.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "memory/blob_space.h"
#include "memory/host_space.h"

namespace loretoken {
namespace {

constexpr uint64_t kChunk = 1 << 20;
constexpr uint64_t kBase = 0x100000000;

struct Backing : ChunkBacking {
  std::set<uint64_t> chunks;
  size_t limit = 1000;
  bool back(uint64_t address, uint64_t bytes) override {
    EXPECT_EQ(bytes, kChunk);
    if (chunks.size() >= limit) return false;
    EXPECT_TRUE(chunks.insert(address).second) << "backed twice";
    return true;
  }
  void unback(uint64_t address, uint64_t) override { EXPECT_EQ(chunks.erase(address), 1u) << "was not backed"; }
  bool covers(uint64_t address, uint64_t bytes) const {
    for (uint64_t at = address / kChunk * kChunk; at < address + bytes; at += kChunk) {
      if (chunks.count(at) == 0) return false;
    }
    return true;
  }
};

TEST(BlobSpace, AgreesWithAModelUnderRandomUse) {
  std::mt19937_64 random(11);
  Backing backing;
  backing.limit = 40;
  BlobSpace space(kBase, kChunk, 100, backing);
  std::map<uint64_t, uint64_t> blobs;
  uint64_t used = 0;
  for (int step = 0; step < 30000; ++step) {
    if (random() % 5 < 3 || blobs.empty()) {
      const uint64_t bytes = 1 + random() % (random() % 10 == 0 ? 3 * kChunk : kChunk / 3);
      const uint64_t address = space.allocate(bytes);
      if (address == 0) continue;
      const uint64_t stored = (bytes + kBlobAlignment - 1) / kBlobAlignment * kBlobAlignment;
      ASSERT_EQ(address % kBlobAlignment, 0u);
      ASSERT_TRUE(backing.covers(address, stored));
      const auto next = blobs.lower_bound(address);
      if (next != blobs.end()) {
        ASSERT_LE(address + stored, next->first);
      }
      if (next != blobs.begin()) {
        ASSERT_GE(address, std::prev(next)->first + std::prev(next)->second);
      }
      blobs[address] = stored;
      used += stored;
    } else {
      const auto it = std::next(blobs.begin(), static_cast<long>(random() % blobs.size()));
      const uint64_t promised = space.won_by_release(it->first);
      const uint64_t before = space.backed();
      space.release(it->first);
      ASSERT_EQ(before - space.backed(), promised);
      used -= it->second;
      blobs.erase(it);
    }
    ASSERT_EQ(space.used(), used);
    ASSERT_EQ(space.backed(), backing.chunks.size() * kChunk);
    // No chunk stays backed that holds nothing.
    if (step % 100 == 0) {
      for (const uint64_t chunk : backing.chunks) {
        auto it = blobs.upper_bound(chunk);
        bool holds = it != blobs.end() && it->first < chunk + kChunk;
        if (it != blobs.begin()) holds |= std::prev(it)->first + std::prev(it)->second > chunk;
        ASSERT_TRUE(holds);
      }
    }
  }
  for (const auto& [address, bytes] : blobs) space.release(address);
  EXPECT_EQ(space.backed(), 0u);
  EXPECT_TRUE(backing.chunks.empty());
}

TEST(BlobSpace, RefusesWhatDoesNotFitAndLeavesNothingBacked) {
  Backing backing;
  backing.limit = 3;
  BlobSpace space(kBase, kChunk, 100, backing);
  EXPECT_EQ(space.allocate(4 * kChunk), 0u);
  EXPECT_TRUE(backing.chunks.empty());
  EXPECT_NE(space.allocate(3 * kChunk), 0u);
  EXPECT_EQ(space.allocate(0), 0u);
}

TEST(BlobSpace, GrowsAtTheFreeEndOfABackedChunk) {
  Backing backing;
  BlobSpace space(kBase, kChunk, 100, backing);
  ASSERT_NE(space.allocate(kChunk / 2), 0u);
  ASSERT_NE(space.allocate(kChunk), 0u);  // half of the first chunk, half of a second
  EXPECT_EQ(space.backed(), 2 * kChunk);
}

TEST(HostSpace, AgreesWithAModelAndGivesEmptyChunksBackAfterAWhile) {
  std::mt19937_64 random(5);
  HostSpace space;
  std::map<uint64_t, uint64_t> chunks = {{kBase, kChunk}, {kBase + kChunk, kChunk}};  // neighbours in memory
  for (const auto& [base, bytes] : chunks) space.add_chunk(base, bytes, 1);
  std::map<uint64_t, uint64_t> blobs;
  uint64_t now = 100;
  for (int step = 0; step < 20000; ++step, ++now) {
    if (random() % 2 == 0 || blobs.empty()) {
      const uint64_t bytes = 1 + random() % (kChunk / 8);
      const uint64_t address = space.allocate(bytes);
      if (address == 0) continue;
      const auto chunk = std::prev(chunks.upper_bound(address));
      ASSERT_LE(address + bytes, chunk->first + chunk->second) << "crosses a chunk's end";
      const auto next = blobs.lower_bound(address);
      if (next != blobs.end()) {
        ASSERT_LE(address + bytes, next->first);
      }
      if (next != blobs.begin()) {
        ASSERT_GE(address, std::prev(next)->first + std::prev(next)->second);
      }
      blobs[address] = bytes;
    } else {
      const auto it = std::next(blobs.begin(), static_cast<long>(random() % blobs.size()));
      space.release(it->first, now);
      blobs.erase(it);
    }
  }
  ASSERT_FALSE(blobs.empty());
  for (const auto& [address, bytes] : blobs) space.release(address, now);
  EXPECT_EQ(space.used(), 0u);
  EXPECT_EQ(space.take_empty(50).bytes, 0u) << "not empty since then";
  EXPECT_EQ(space.take_empty(now + 1).bytes, kChunk);
  EXPECT_EQ(space.take_empty(now + 1).bytes, kChunk);
  EXPECT_EQ(space.take_empty(now + 1).bytes, 0u);
  EXPECT_EQ(space.allocate(1), 0u);
}

}  // namespace
}  // namespace loretoken
