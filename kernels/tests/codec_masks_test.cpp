// Every set of allowed codecs over blocks of every kind: what is forbidden is not used, what is packed comes back.
#include <array>

#include "codec_fixture.h"

namespace loretoken {
namespace {

// The blocks of one job: half of them of its element type, then what any job may hold beside, then a short one.
Bytes blocks_of(ElementType type, uint32_t seed) {
  Bytes bytes = type == ElementType::kUnknown
                    ? random_bytes(4 * kBlockBytes, seed)
                    : gaussian(4 * kBlockBytes / (type == ElementType::kFp32 ? 4 : 2), type, seed);
  const auto append = [&](auto&& word_at) {
    for (uint32_t i = 0; i < kBlockWords; ++i) {
      const uint32_t word = word_at(i);
      const auto* from = reinterpret_cast<const uint8_t*>(&word);
      bytes.insert(bytes.end(), from, from + 4);
    }
  };
  append([](uint32_t) { return 0u; });
  append([](uint32_t) { return 0x3F803F80u; });                       // repeats 8 bytes
  append([](uint32_t i) { return 0x3C003D00u + (i % 4) * 0x101u; });  // repeats 16 bytes
  append([](uint32_t i) { return i % 37 == 0 ? 0x3D123D45u + i : 0u; });
  bytes.insert(bytes.end(), 5000, uint8_t{0});
  return bytes;
}

class Masks : public CodecTest {
 protected:
  void every_mask(const Bytes& bytes) {
    for (CodecMask allowed = 1; allowed <= kDecodableCodecs; allowed += 2) {  // raw is allowed in any case
      SCOPED_TRACE(testing::Message() << "allowed 0x" << std::hex << allowed);
      const Bytes blob = round_trip(bytes, allowed);
      if (HasFailure()) return;
      BlobHeader header;
      std::memcpy(&header, blob.data(), sizeof header);
      EXPECT_EQ(header.codec_set & ~allowed, 0u);
      size_[allowed] = blob.size();
    }
    for (CodecMask allowed = 1; allowed <= kDecodableCodecs; allowed += 2) {
      for (CodecId id : {CodecId::kConstant, CodecId::kZeroRun}) {
        EXPECT_LE(size_[allowed | codec_bit(id)], size_[allowed]) << std::hex << allowed;
      }
    }
  }
  std::array<uint64_t, kDecodableCodecs + 1> size_{};
};

TEST_F(Masks, Bf16) {
  every_mask(blocks_of(ElementType::kBf16, 31));
}
TEST_F(Masks, Fp16) {
  every_mask(blocks_of(ElementType::kFp16, 32));
}
TEST_F(Masks, Fp32) {
  every_mask(blocks_of(ElementType::kFp32, 33));
}
TEST_F(Masks, Noise) {
  every_mask(blocks_of(ElementType::kUnknown, 34));
}
TEST_F(Masks, NothingButZeros) {
  every_mask(Bytes(2 * kBlockBytes + 4096, 0));
}
TEST_F(Masks, NothingButOneValue) {
  Bytes bytes(2 * kBlockBytes + 4096);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = i % 2 ? 0x3F : 0x80;
  every_mask(bytes);
}

TEST_F(Masks, WithoutTheConstantCodecZerosAreAZeroRun) {
  round_trip(Bytes(kBlockBytes, 0), codec_bit(CodecId::kZeroRun));
  EXPECT_EQ(packed_.codec_in[static_cast<uint32_t>(CodecId::kZeroRun)], kBlockBytes);
  EXPECT_EQ(packed_.codec_out[static_cast<uint32_t>(CodecId::kZeroRun)], ZeroRunLayout::kValues);
}

}  // namespace
}  // namespace loretoken
