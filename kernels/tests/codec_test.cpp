// Round trips of every codec through the kernels and through the reference decoder.
#include "codec_fixture.h"

namespace loretoken {
namespace {

constexpr std::size_t kMiB = 1 << 20;

CodecMask only(CodecId id) {
  return codec_bit(id);
}

uint64_t blocks_in(const Result& result, CodecId id) {
  return (result.codec_in[static_cast<uint32_t>(id)] + kBlockBytes - 1) / kBlockBytes;
}

TEST_F(CodecTest, EveryLengthAroundTheEdges) {
  const Bytes noise = random_bytes(2 * kBlockBytes + 70000, 1);
  for (std::size_t length : {1,    2,    3,    4,     7,     8,     9,     15,     16,     17,     63,
                             4095, 4096, 4097, 65535, 65536, 65537, 65540, 131071, 131072, 131073, 200000}) {
    SCOPED_TRACE(length);
    const Bytes bytes(noise.begin(), noise.begin() + static_cast<std::ptrdiff_t>(length));
    const Bytes blob = round_trip(bytes);
    EXPECT_LE(blob.size(), Codec::max_blob_bytes(length));
    round_trip(Bytes(length, 0));
    round_trip(Bytes(length, 0x7F));
  }
}

TEST_F(CodecTest, RandomBytesCostOnlyTheHeader) {
  const Bytes bytes = random_bytes(kMiB + 12345, 2);
  EXPECT_EQ(round_trip(bytes).size(), Codec::max_blob_bytes(bytes.size()));
  EXPECT_EQ(packed_.codec_in[static_cast<uint32_t>(CodecId::kRaw)], bytes.size());
}

TEST_F(CodecTest, ConstantsOfEveryWidth) {
  for (std::size_t width : {1, 2, 4, 8, 16}) {
    SCOPED_TRACE(width);
    Bytes bytes(3 * kBlockBytes + 40);
    const Bytes word = random_bytes(width, static_cast<uint32_t>(width));
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = word[i % width];
    const Bytes blob = round_trip(bytes, only(CodecId::kConstant));
    EXPECT_EQ(blob.size(), payloads_offset(4, 0) + (width == 16 ? 4 * kPayloadAlign : 0));
    EXPECT_EQ(packed_.codec_in[static_cast<uint32_t>(CodecId::kConstant)], bytes.size());
  }
}

TEST_F(CodecTest, ZeroRunKeepsTheRest) {
  Bytes bytes(kMiB + 77, 0);
  const Bytes noise = random_bytes(bytes.size(), 3);
  for (std::size_t i = 0; i < bytes.size(); ++i)
    if (i / 4 % 11 == 0 || i / 4096 % 7 == 3) bytes[i] = noise[i];
  const Bytes blob = round_trip(bytes, only(CodecId::kZeroRun));
  EXPECT_GT(blocks_in(packed_, CodecId::kZeroRun), 15u);
  EXPECT_LT(blob.size(), bytes.size() / 3);
}

struct TypedCase {
  ElementType type;
  CodecId id;
  double least_ratio;
};

TEST_F(CodecTest, GaussianValuesOfEveryType) {
  for (const TypedCase& c : {TypedCase{ElementType::kBf16, CodecId::kExponent16, 1.45},
                             TypedCase{ElementType::kFp16, CodecId::kExponentHalf, 1.14},
                             TypedCase{ElementType::kFp32, CodecId::kExponent32, 1.18}}) {
    SCOPED_TRACE(static_cast<int>(c.id));
    const Bytes bytes = gaussian(512 * 1024, c.type, 4);
    const Bytes blob = round_trip(bytes);
    EXPECT_EQ(blocks_in(packed_, c.id), bytes.size() / kBlockBytes);
    EXPECT_EQ(packed_.element_type, c.type);
    EXPECT_GT(static_cast<double>(bytes.size()) / static_cast<double>(blob.size()), c.least_ratio);
  }
}

TEST_F(CodecTest, Fp32WithZeroLowHalves) {
  Bytes bytes = gaussian(256 * 1024, ElementType::kFp32, 5);
  for (std::size_t i = 0; i < bytes.size(); i += 4) bytes[i] = bytes[i + 1] = 0;
  const Bytes blob = round_trip(bytes);
  EXPECT_EQ(blocks_in(packed_, CodecId::kExponent32), bytes.size() / kBlockBytes);
  EXPECT_GT(bytes.size(), blob.size() * 28 / 10);
  bytes[kBlockBytes + 4 * 777] = 1;  // one block has a lower half after all
  round_trip(bytes);
}

// Values that are no numbers, or no ordinary ones, strewn among ordinary ones: they have no code and become patches.
TEST_F(CodecTest, OddBitPatternsSurvive) {
  const uint16_t odd[] = {0x0000, 0x8000, 0x0001, 0x807F, 0x7F80, 0xFF80, 0x7F81,
                          0xFFFF, 0x7FC1, 0x7C00, 0xFC01, 0x0400, 0x83FF};
  for (ElementType type : {ElementType::kBf16, ElementType::kFp16, ElementType::kFp32}) {
    Bytes bytes = gaussian(kMiB / (type == ElementType::kFp32 ? 4 : 2), type, 6);
    const std::size_t stride = type == ElementType::kFp32 ? 4 : 2;
    for (std::size_t i = 0, n = 0; i + stride <= bytes.size(); i += 97 * stride, ++n)
      std::memcpy(&bytes[i + stride - 2], &odd[n % std::size(odd)], 2);
    round_trip(bytes);
    EXPECT_GT(packed_.element_type == type, 0);
  }
}

TEST_F(CodecTest, AllNanAllDenormalAlternating) {
  for (uint32_t pattern : {0x7FC07FC0u, 0xFFFFFFFFu, 0x00010001u, 0x80008000u, 0x3F80BF80u, 0x7F800001u}) {
    Bytes bytes(4 * kBlockBytes);
    const Bytes noise = random_bytes(bytes.size(), pattern);
    for (std::size_t i = 0; i < bytes.size(); i += 4) {
      const uint32_t word = pattern ^ (noise[i] & 0x3F) ^ (noise[i + 1] & 0x3Fu) << 16;
      std::memcpy(&bytes[i], &word, 4);
    }
    round_trip(bytes);
  }
}

TEST_F(CodecTest, OneSymbolOnly) {
  Bytes bytes(2 * kBlockBytes);
  const Bytes noise = random_bytes(bytes.size(), 8);
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    bytes[i] = noise[i] & 0x7F;
    bytes[i + 1] = 0x3F;
  }
  EXPECT_LT(round_trip(bytes).size(), bytes.size() * 6 / 10);
}

TEST_F(CodecTest, MixedBlocksChooseTheirOwnCodec) {
  Bytes bytes = gaussian(8 * kBlockBytes, ElementType::kBf16, 9);  // 16 blocks
  auto block = [&](std::size_t i) { return bytes.begin() + static_cast<std::ptrdiff_t>(i * kBlockBytes); };
  const Bytes noise = random_bytes(kBlockBytes, 10);
  std::copy(noise.begin(), noise.end(), block(3));
  std::fill(block(5), block(6), uint8_t{0});
  std::fill(block(8), block(9), uint8_t{0});
  for (std::size_t i = 0; i < 500; ++i) *(block(8) + static_cast<std::ptrdiff_t>(i * 128 + 1)) = 0x55;
  bytes.insert(bytes.end(), 1000, 0x11);
  round_trip(bytes);
  EXPECT_EQ(blocks_in(packed_, CodecId::kRaw), 1u);
  EXPECT_EQ(blocks_in(packed_, CodecId::kConstant), 2u);
  EXPECT_EQ(blocks_in(packed_, CodecId::kZeroRun), 1u);
  EXPECT_EQ(blocks_in(packed_, CodecId::kExponent16), 13u);
}

TEST_F(CodecTest, RecordedTensors) {
  const struct {
    const char* name;
    double least_ratio;
  } tensors[] = {{"weight.bf16", 1.3}, {"weight.fp16", 1.1}, {"weight.fp32", 1.12}, {"relu.bf16", 1.4}};
  for (const auto& tensor : tensors) {
    SCOPED_TRACE(tensor.name);
    const Bytes excerpt = read_file(tensor.name);
    ASSERT_EQ(excerpt.size(), kBlockBytes);
    Bytes bytes;
    for (int i = 0; i < 8; ++i) bytes.insert(bytes.end(), excerpt.begin(), excerpt.end());
    const Bytes blob = round_trip(bytes);
    EXPECT_GT(static_cast<double>(bytes.size()) / static_cast<double>(blob.size()), tensor.least_ratio);
  }
}

TEST_F(CodecTest, ManyJobsInOneCall) {
  std::vector<Bytes> contents;
  std::vector<std::unique_ptr<Allocation>> all;
  std::vector<Job> jobs;
  for (uint32_t i = 0; i < 80; ++i) {
    contents.push_back(i % 3 == 0   ? gaussian(40000 + 977 * i, ElementType::kBf16, i)
                       : i % 3 == 1 ? Bytes(1000 * i + 1, static_cast<uint8_t>(i))
                                    : random_bytes(90000 + i, i));
    all.push_back(std::make_unique<Allocation>(contents.back()));
    all.back()->make_blob(Codec::max_blob_bytes(contents.back().size()));
    jobs.push_back(all.back()->job());
  }
  auto each = [&](auto&& check) {
    for (uint32_t i = 0; i < 80; ++i) {
      SCOPED_TRACE(i);
      EXPECT_EQ(all[i]->result.done, 1u);
      EXPECT_EQ(all[i]->result.status, Status::kOk);
      check(i);
      all[i]->result = {};
    }
  };
  ASSERT_EQ(codec_->analyse(nullptr, jobs, kAll), CUDA_SUCCESS);
  each([](uint32_t) {});
  ASSERT_EQ(codec_->pack(nullptr, jobs), CUDA_SUCCESS);
  each([&](uint32_t i) { std::memset(all[i]->raw.data(), 0, contents[i].size()); });
  ASSERT_EQ(codec_->unpack(nullptr, jobs), CUDA_SUCCESS);
  each([&](uint32_t i) { EXPECT_TRUE(all[i]->raw_copy() == contents[i]); });
}

TEST_F(CodecTest, ChangesAreSeen) {
  const Bytes bytes = gaussian(4 * kBlockBytes, ElementType::kBf16, 12);
  Allocation a(bytes);
  pack(a);
  a.raw.data()[0] ^= 1;
  a.raw.data()[3 * kBlockBytes + 5] ^= 0x80;
  Job job = a.job();
  codec_->unchanged(nullptr, {&job, 1});
  EXPECT_EQ(a.result.changed_blocks, 2u);
  job = a.job();
  codec_->verify(nullptr, {&job, 1});
  EXPECT_EQ(a.result.status, Status::kBadBlock);
  EXPECT_EQ(a.result.bad_blocks, 2u);
  EXPECT_EQ(a.result.first_bad_block, 0u);
}

TEST_F(CodecTest, TooSmallABlobIsLeftAlone) {
  Allocation a(random_bytes(kMiB, 13));
  Job job = a.job();
  codec_->analyse(nullptr, {&job, 1}, kAll);
  a.make_blob(a.result.blob_bytes - 16);
  const Bytes before = a.blob_copy();
  job = a.job();
  codec_->pack(nullptr, {&job, 1});
  EXPECT_EQ(a.result.status, Status::kTooSmall);
  EXPECT_TRUE(a.blob_copy() == before);
}

TEST_F(CodecTest, OnePassWithoutRoomSaysHowMuchItNeeds) {
  Allocation a(random_bytes(kMiB, 16));
  a.make_blob(kMiB / 2);
  Job job = a.job();
  codec_->pack_direct(nullptr, {&job, 1}, kAll);
  EXPECT_EQ(a.result.status, Status::kTooSmall);
  a.make_blob(a.result.blob_bytes);
  job = a.job();
  codec_->pack_direct(nullptr, {&job, 1}, kAll);
  EXPECT_EQ(a.result.status, Status::kOk);
  EXPECT_TRUE(check_blob(a.blob_copy()).raw == a.raw_copy());
}

TEST_F(CodecTest, WritingBetweenAnalyseAndPackIsSeen) {
  for (CodecMask allowed : {kAll, only(CodecId::kConstant), only(CodecId::kZeroRun)}) {
    Bytes bytes = allowed == kAll ? gaussian(4 * kBlockBytes, ElementType::kBf16, 14) : Bytes(8 * kBlockBytes, 0);
    if (allowed == only(CodecId::kZeroRun)) bytes[5] = 1;
    Allocation a(bytes);
    Job job = a.job();
    codec_->analyse(nullptr, {&job, 1}, allowed);
    a.make_blob(a.result.blob_bytes);
    const Bytes noise = random_bytes(2 * kBlockBytes, 15);
    std::memcpy(a.raw.data() + kBlockBytes, noise.data(), noise.size());
    job = a.job();
    codec_->pack(nullptr, {&job, 1});
    EXPECT_EQ(a.result.status, Status::kSourceChanged);
  }
}

}  // namespace
}  // namespace loretoken
