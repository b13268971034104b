#include "reach/words.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace loretoken {
namespace {

constexpr AddressSpan kSpan = {0x7C10'0000'0000, 0x7C50'0000'0000};

std::vector<uint64_t> words_in(const void* data, uint64_t bytes, uint32_t skew, AddressSpan span) {
  std::vector<uint64_t> found;
  for_words_in(data, bytes, skew, span, [&](uint64_t word) { found.push_back(word); });
  return found;
}

// What for_words_in promises, word by word.
std::vector<uint64_t> expected_words(const unsigned char* data, uint64_t bytes, uint32_t skew, AddressSpan span) {
  std::vector<uint64_t> found;
  for (uint64_t at = skew; at + 8 <= bytes; at += 4) {
    uint64_t word;
    std::memcpy(&word, data + at, sizeof(word));
    if (span.contains(word)) found.push_back(word);
  }
  return found;
}

TEST(Words, FindsAnAddressAtEveryPositionAndAlignment) {
  const uint64_t address = 0x7C2A'1234'5678;
  for (uint32_t source_skew = 0; source_skew < 16; ++source_skew) {
    for (uint32_t skew = 0; skew < 4; ++skew) {
      for (uint64_t at = skew; at + 8 <= 300; at += 4) {
        std::vector<unsigned char> bytes(340, 0);
        std::memcpy(bytes.data() + source_skew + at, &address, sizeof(address));
        ASSERT_EQ(words_in(bytes.data() + source_skew, 300, skew, kSpan), std::vector<uint64_t>{address})
            << "source " << source_skew << " skew " << skew << " at " << at;
      }
    }
  }
}

TEST(Words, LooksAtNothingBehindTheEnd) {
  const uint64_t address = 0x7C2A'1234'5678;
  std::vector<unsigned char> bytes(128, 0);
  std::memcpy(bytes.data() + 100, &address, sizeof(address));
  for (uint64_t size = 0; size < 108; ++size) EXPECT_TRUE(words_in(bytes.data(), size, 0, kSpan).empty()) << size;
  EXPECT_EQ(words_in(bytes.data(), 108, 0, kSpan).size(), 1U);
}

TEST(Words, BoundsOfTheSpanAreExact) {
  const uint64_t words[] = {kSpan.lo - 1, kSpan.lo, kSpan.hi - 1, kSpan.hi};
  EXPECT_EQ(words_in(words, sizeof(words), 0, kSpan), (std::vector<uint64_t>{kSpan.lo, kSpan.hi - 1}));
}

TEST(Words, AgreesWithTheSlowWayOnRandomBytes) {
  std::mt19937_64 random(7);
  std::vector<unsigned char> bytes(4096);
  for (int round = 0; round < 200; ++round) {
    for (unsigned char& byte : bytes) byte = static_cast<unsigned char>(random() % 4 == 0 ? random() : 0);
    for (int i = 0; i < 5; ++i) {
      const uint64_t address = kSpan.lo + random() % (kSpan.hi - kSpan.lo);
      std::memcpy(bytes.data() + random() % (bytes.size() - 8), &address, sizeof(address));
    }
    const auto skew = static_cast<uint32_t>(random() % 4);
    const uint64_t size = random() % bytes.size();
    ASSERT_EQ(words_in(bytes.data(), size, skew, kSpan), expected_words(bytes.data(), size, skew, kSpan));
  }
}

TEST(Words, AnEmptySpanHoldsNothing) {
  const uint64_t words[] = {0, 1, kSpan.lo};
  EXPECT_TRUE(words_in(words, sizeof(words), 0, {0, 0}).empty());
}

}  // namespace
}  // namespace loretoken
