// The pointer scan.
#include <algorithm>
#include <set>

#include "codec_fixture.h"

namespace loretoken {
namespace {

constexpr uint64_t kLow = 0x7C1000000000, kHigh = 0x7C20FFFFFFFF;

class ScanTest : public CodecTest {
 protected:
  void SetUp() override {
    CodecTest::SetUp();
    std::memset(table_.data(), 0, Codec::scan_table_bytes(kSlots));
  }
  using Found = std::multiset<std::pair<uint32_t, uint64_t>>;

  Found scan(std::vector<ScanRange> ranges, uint32_t capacity = 4096) {
    list_ = Bytes(sizeof(ScanList) + capacity * sizeof(ScanRecord), 0);
    const ScanWindow windows[] = {{kLow, kHigh}, {0x5E0000000000, 0x5E0000FFFFFF}};
    ScanJob job{ranges,  windows, table_.address(), kSlots, ++epoch_, reinterpret_cast<CUdeviceptr>(list_.data()),
                capacity};
    EXPECT_EQ(codec_->scan(nullptr, job), CUDA_SUCCESS);
    const ScanList& header = this->header();
    EXPECT_EQ(header.done, 1u);
    EXPECT_EQ(header.epoch, epoch_);
    Found found;
    const auto* records = reinterpret_cast<const ScanRecord*>(list_.data() + sizeof(ScanList));
    for (uint32_t i = 0; i < header.count; ++i) found.insert({records[i].index, records[i].page});
    return found;
  }
  const ScanList& header() const { return *reinterpret_cast<const ScanList*>(list_.data()); }
  static ScanRange range(const DeviceMemory& memory, std::size_t offset, std::size_t bytes, uint32_t index) {
    return {memory.address() + offset, bytes, index, 0};
  }

  static constexpr uint32_t kSlots = 8192;
  DeviceMemory table_{Codec::scan_table_bytes(kSlots)};
  Bytes list_;
  uint32_t epoch_ = 0;
};

void put(const DeviceMemory& memory, std::size_t at, uint64_t value) {
  std::memcpy(memory.data() + at, &value, 8);
}

TEST_F(ScanTest, EveryFourByteStep) {
  constexpr std::size_t kBytes = 8192;
  for (std::size_t at = 0; at + 8 <= kBytes; at += 4) {
    DeviceMemory memory(kBytes);
    put(memory, at, kLow + 0x200000 * 5 + 17);
    EXPECT_EQ(scan({range(memory, 0, kBytes, 3)}), (Found{{3, (kLow >> 21) + 5}})) << at;
  }
}

TEST_F(ScanTest, AcrossChunkBordersAndAtTheEnds) {
  constexpr std::size_t kBytes = 5 * 65536 + 12;
  for (std::size_t at : {std::size_t{0}, std::size_t{65536 - 4}, std::size_t{65536 - 8}, std::size_t{2 * 65536},
                         std::size_t{4 * 65536 - 4}, kBytes - 12, kBytes - 8}) {
    DeviceMemory memory(kBytes);
    put(memory, at, kHigh);
    EXPECT_EQ(scan({range(memory, 0, kBytes, 9)}).size(), 1u) << at;
    EXPECT_EQ(scan({range(memory, 4, kBytes - 4, 9)}).size(), at == 0 ? 0u : 1u) << at;
  }
}

TEST_F(ScanTest, WindowEdges) {
  DeviceMemory memory(64);
  const struct {
    uint64_t value;
    bool hit;
  } cases[] = {{kLow - 1, false},       {kLow, true}, {kHigh, true}, {kHigh + 1, false}, {0x5E0000FFFFFF, true},
               {0x5E0001000000, false}, {0, false},   {~0ull, false}};
  for (const auto& c : cases) {
    put(memory, 24, c.value);
    EXPECT_EQ(scan({range(memory, 0, 64, 1)}).size(), c.hit ? 1u : 0u) << std::hex << c.value;
  }
}

TEST_F(ScanTest, EachPairOnce) {
  DeviceMemory memory(300000);
  for (std::size_t i = 0; i + 8 <= 300000; i += 8) put(memory, i, kLow + (i / 8 % 50) * 0x200000 + i % 1000);
  const Found found = scan({range(memory, 0, 150000, 1), range(memory, 150000, 150000, 2)});
  EXPECT_EQ(found.size(), 100u);
  EXPECT_EQ(std::set(found.begin(), found.end()).size(), 100u);
  EXPECT_EQ(scan({range(memory, 0, 150000, 1)}).size(), 50u);  // the next epoch finds them again
}

TEST_F(ScanTest, MoreRangesThanOneLaunchTakes) {
  DeviceMemory memory(200 * 64);
  std::vector<ScanRange> ranges;
  for (uint32_t i = 0; i < 200; ++i) {
    put(memory, i * 64 + 8, kLow + i * 0x200000ull);
    ranges.push_back(range(memory, i * 64, 64, i));
  }
  EXPECT_EQ(scan(ranges).size(), 200u);
  EXPECT_EQ(scan({}).size(), 0u);
}

TEST_F(ScanTest, OverflowIsFlagged) {
  DeviceMemory memory(64 * 1024);
  for (std::size_t i = 0; i < 8192; ++i) put(memory, i * 8, kLow + i * 0x200000 % (kHigh - kLow));
  EXPECT_EQ(scan({range(memory, 0, 64 * 1024, 1)}, 100).size(), 100u);
  EXPECT_EQ(header().overflow, 1u);
  EXPECT_EQ(scan({range(memory, 0, 800, 1)}, 200).size(), 100u);
  EXPECT_EQ(header().overflow, 0u);
}

TEST_F(ScanTest, WrongArgumentsAreRefused) {
  ScanJob job{{}, {}, table_.address(), kSlots, 1, 0, 0};
  EXPECT_EQ(codec_->scan(nullptr, job), CUDA_ERROR_INVALID_VALUE);
}

}  // namespace
}  // namespace loretoken
