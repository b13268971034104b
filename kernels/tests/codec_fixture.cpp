#include "codec_fixture.h"

#include <sys/mman.h>

#include <bit>
#include <cmath>
#include <fstream>
#include <iterator>
#include <random>

namespace loretoken {
namespace {

constexpr std::size_t kPage = 4096;

uint16_t to_half(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const int exponent = static_cast<int>(bits >> 23 & 255) - 112;
  const uint32_t sign = bits >> 16 & 0x8000;
  if (exponent <= 0) return static_cast<uint16_t>(sign);
  if (exponent >= 31) return static_cast<uint16_t>(sign | 0x7C00);
  return static_cast<uint16_t>(sign | static_cast<uint32_t>(exponent) << 10 | (bits >> 13 & 0x3FF));
}

}  // namespace

DeviceMemory::DeviceMemory(std::size_t bytes) {
  const std::size_t rounded = (bytes + 15) / 16 * 16;
  mapped_ = (rounded + kPage - 1) / kPage * kPage + kPage;
  base_ = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base_ == MAP_FAILED) throw std::bad_alloc();
  mprotect(static_cast<uint8_t*>(base_) + mapped_ - kPage, kPage, PROT_NONE);
  data_ = static_cast<uint8_t*>(base_) + mapped_ - kPage - rounded;
}

DeviceMemory::~DeviceMemory() {
  if (base_) munmap(base_, mapped_);
}

void CodecTest::pack(Allocation& a, CodecMask allowed) {
  Job job = a.job();
  ASSERT_EQ(codec_->analyse(nullptr, {&job, 1}, allowed), CUDA_SUCCESS);
  ASSERT_EQ(a.result.done, 1u);
  ASSERT_EQ(a.result.status, Status::kOk);
  ASSERT_LE(a.result.blob_bytes, Codec::max_blob_bytes(a.raw_bytes));
  a.make_blob(a.result.blob_bytes);
  job = a.job();
  ASSERT_EQ(codec_->pack(nullptr, {&job, 1}), CUDA_SUCCESS);
  ASSERT_EQ(a.result.done, 1u);
  ASSERT_EQ(a.result.status, Status::kOk);
  ASSERT_EQ(a.result.blob_bytes, a.blob_capacity);
  packed_ = a.result;
}

Bytes CodecTest::round_trip(const Bytes& bytes, CodecMask allowed) {
  Allocation a(bytes);
  pack(a, allowed);
  if (HasFatalFailure()) return {};

  Job job = a.job();
  EXPECT_EQ(codec_->verify(nullptr, {&job, 1}), CUDA_SUCCESS);
  EXPECT_EQ(a.result.done, 1u);
  EXPECT_EQ(a.result.status, Status::kOk);
  EXPECT_EQ(a.result.bad_blocks, 0u);
  EXPECT_EQ(a.result.first_bad_block, ~0u);

  job = a.job();
  EXPECT_EQ(codec_->unchanged(nullptr, {&job, 1}), CUDA_SUCCESS);
  EXPECT_EQ(a.result.done, 1u);
  EXPECT_EQ(a.result.changed_blocks, 0u);

  std::memset(a.raw.data(), 0x5A, a.raw_bytes);
  job = a.job();
  EXPECT_EQ(codec_->unpack(nullptr, {&job, 1}), CUDA_SUCCESS);
  EXPECT_EQ(a.result.done, 1u);
  EXPECT_EQ(a.result.status, Status::kOk);
  EXPECT_TRUE(a.raw_copy() == bytes);

  const BlobReport report = check_blob(a.blob_copy());
  EXPECT_TRUE(report.ok()) << report.problem;
  EXPECT_TRUE(report.raw == bytes);

  // The same in one pass: the payloads may lie in another order, the size differs at most by an unused code table.
  const uint64_t planned = a.blob_capacity;
  const Bytes blob = a.blob_copy();
  a.make_blob(planned + sizeof(CodeTable));
  job = a.job();
  EXPECT_EQ(codec_->pack_direct(nullptr, {&job, 1}, allowed), CUDA_SUCCESS);
  EXPECT_EQ(a.result.status, Status::kOk);
  EXPECT_GE(a.result.blob_bytes, planned);
  EXPECT_LE(a.result.blob_bytes, a.blob_capacity);
  EXPECT_EQ(std::memcmp(a.result.codec_out, packed_.codec_out, sizeof a.result.codec_out), 0);
  EXPECT_TRUE(check_blob(a.blob_copy()).raw == bytes);
  std::memset(a.raw.data(), 0x5A, a.raw_bytes);
  job = a.job();
  EXPECT_EQ(codec_->unpack(nullptr, {&job, 1}), CUDA_SUCCESS);
  EXPECT_EQ(a.result.status, Status::kOk);
  EXPECT_TRUE(a.raw_copy() == bytes);

  const Bytes zero(kScratchBytes, 0);
  EXPECT_EQ(std::memcmp(a.plan.data(), zero.data(), kScratchBytes), 0);
  return blob;
}

Bytes random_bytes(std::size_t count, uint32_t seed) {
  std::mt19937_64 engine(seed);
  Bytes out(count);
  for (uint8_t& byte : out) byte = static_cast<uint8_t>(engine());
  return out;
}

Bytes gaussian(std::size_t values, ElementType type, uint32_t seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal(0.0f, 0.02f);
  Bytes out(values * (type == ElementType::kFp32 ? 4 : 2));
  for (std::size_t i = 0; i < values; ++i) {
    const float value = normal(engine);
    const auto bits = std::bit_cast<uint32_t>(value);
    const auto upper = static_cast<uint16_t>(type == ElementType::kFp16 ? to_half(value) : bits >> 16);
    if (type == ElementType::kFp32)
      std::memcpy(&out[4 * i], &bits, 4);
    else
      std::memcpy(&out[2 * i], &upper, 2);
  }
  return out;
}

Bytes read_file(const std::string& name) {
  std::ifstream file(std::string(LORETOKEN_TEST_DATA) + "/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace loretoken
