// Damaged blobs: never an access outside, never silence.
#include "codec_fixture.h"

namespace loretoken {
namespace {

// A blob with every codec in it.
Bytes varied() {
  Bytes bytes = gaussian(2 * kBlockBytes, ElementType::kBf16, 20);  // 4 blocks
  const uint16_t odd = 0x7FC1;
  std::memcpy(&bytes[kBlockBytes + 1000], &odd, 2);
  const Bytes noise = random_bytes(kBlockBytes, 21);
  bytes.insert(bytes.end(), noise.begin(), noise.end());
  bytes.insert(bytes.end(), kBlockBytes, 0x33);
  Bytes sparse(kBlockBytes, 0);
  for (std::size_t i = 0; i < sparse.size(); i += 401) sparse[i] = 1;
  bytes.insert(bytes.end(), sparse.begin(), sparse.end());
  for (std::size_t i = 0; i < 5000; ++i) bytes.push_back(static_cast<uint8_t>(i * 7));
  return bytes;
}

class Damage : public CodecTest {
 protected:
  void SetUp() override {
    CodecTest::SetUp();
    bytes_ = varied();
    allocation_ = std::make_unique<Allocation>(bytes_);
    pack(*allocation_);
    good_ = allocation_->blob_copy();
  }
  // Unpacks the blob as it is now; the kernels' verdict must agree with what came out, and with the reference decoder.
  void expect_noticed_or_harmless(const std::string& what) {
    SCOPED_TRACE(what);
    Allocation& a = *allocation_;
    std::memset(a.raw.data(), 0x5A, a.raw_bytes);
    Job job = a.job();
    ASSERT_EQ(codec_->unpack(nullptr, {&job, 1}), CUDA_SUCCESS);
    ASSERT_EQ(a.result.done, 1u);
    const bool ok = a.result.status == Status::kOk;
    EXPECT_TRUE(!ok || a.raw_copy() == bytes_);
    EXPECT_EQ(check_blob(a.blob_copy()).ok(), ok);
    if (!ok) ++noticed_;
  }

  // For messages: where in the blob a byte lies.
  std::string place_of(uint64_t at) const {
    for (uint32_t block = 0; block < block_count_of(bytes_.size()); ++block) {
      BlobEntry entry;
      std::memcpy(&entry, &good_[sizeof(BlobHeader) + 16 * block], sizeof entry);
      const uint64_t begin = 16ull * entry.offset;
      if (at >= begin && at < begin + entry_length(entry))
        return "block " + std::to_string(block) + " codec " + std::to_string(static_cast<int>(entry_codec(entry))) +
               " byte " + std::to_string(at - begin) + " of " + std::to_string(entry_length(entry));
    }
    return "byte " + std::to_string(at) + " outside the payloads";
  }

  Bytes bytes_, good_;
  std::unique_ptr<Allocation> allocation_;
  int noticed_ = 0;
};

TEST_F(Damage, EveryByteOfHeaderDirectoryAndChecksums) {
  const uint32_t blocks = block_count_of(bytes_.size());
  const uint64_t end = sizeof(BlobHeader) + 24ull * blocks;
  uint8_t* blob = allocation_->blob->data();
  for (uint64_t at = 0; at < end; ++at) {
    for (uint8_t flip : {0x01, 0x80}) {
      blob[at] ^= flip;
      expect_noticed_or_harmless("byte " + std::to_string(at));
      blob[at] ^= flip;
    }
  }
  EXPECT_EQ(noticed_, static_cast<int>(2 * end));
}

TEST_F(Damage, PayloadsAndTables) {
  const uint32_t blocks = block_count_of(bytes_.size());
  uint8_t* blob = allocation_->blob->data();
  const Bytes random = random_bytes(1200, 22);
  for (uint32_t i = 0; i < 300; ++i) {
    uint32_t value;
    std::memcpy(&value, &random[4 * i], 4);
    const uint64_t from = tables_offset(blocks), at = from + value % (good_.size() - from);
    blob[at] ^= static_cast<uint8_t>(1 + value % 255);
    expect_noticed_or_harmless(place_of(at));
    blob[at] = good_[at];
  }
  EXPECT_GT(noticed_, 250);
}

// The places that steer reading: stream lengths, tile ends, the code table, masks.
TEST_F(Damage, SteeringBytesSetToExtremes) {
  const uint32_t blocks = block_count_of(bytes_.size());
  uint8_t* blob = allocation_->blob->data();
  BlobEntry entry;
  std::memcpy(&entry, blob + sizeof(BlobHeader), sizeof entry);
  ASSERT_EQ(entry_codec(entry), CodecId::kExponent16);
  const uint64_t meta = 16ull * entry.offset + 32768;
  const struct {
    uint64_t from, bytes;
  } places[] = {
      {tables_offset(blocks), sizeof(CodeTable)}, {meta, ExponentLayout::kMeta}, {meta, 512}, {meta + 512, 32}};
  for (const auto& place : places)
    for (int value : {0x00, 0xFF, 0x7F, 0x80}) {
      std::memset(blob + place.from, value, place.bytes);
      expect_noticed_or_harmless("place " + std::to_string(place.from) + " value " + std::to_string(value));
      std::memcpy(blob + place.from, good_.data() + place.from, place.bytes);
    }
  EXPECT_EQ(noticed_, 16);
}

TEST_F(Damage, Truncated) {
  for (uint64_t capacity :
       {uint64_t{0}, uint64_t{16}, uint64_t{128}, uint64_t{300}, uint64_t{4000}, good_.size() / 2, good_.size() - 16}) {
    SCOPED_TRACE(capacity);
    Allocation& a = *allocation_;
    a.make_blob(std::max<uint64_t>(capacity, 1));
    std::memcpy(a.blob->data(), good_.data(), capacity);
    Job job = a.job();
    ASSERT_EQ(codec_->unpack(nullptr, {&job, 1}), CUDA_SUCCESS);
    EXPECT_EQ(a.result.status, Status::kBadBlob);
    EXPECT_FALSE(check_blob({good_.data(), capacity}).ok());
  }
}

TEST_F(Damage, AnotherAllocationsBlob) {
  Allocation other(random_bytes(bytes_.size() + 1, 23));
  other.make_blob(good_.size());
  std::memcpy(other.blob->data(), good_.data(), good_.size());
  Job job = other.job();
  ASSERT_EQ(codec_->unpack(nullptr, {&job, 1}), CUDA_SUCCESS);
  EXPECT_EQ(other.result.status, Status::kBadBlob);
}

}  // namespace
}  // namespace loretoken
