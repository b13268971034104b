#include "loretoken/blob_check.h"

#include <bit>
#include <cstring>

namespace loretoken {
namespace {

struct WordPlace {
  uint32_t thread, j;  // word j of thread
};
WordPlace place_of(uint32_t word) {
  return {word / 1024 * 32 + word / 4 % 32, word / 128 % 8 * 4 + word % 4};
}
uint32_t word_of(uint32_t thread, uint32_t j) {
  return thread / 32 * 1024 + j / 4 * 128 + thread % 32 * 4 + j % 4;
}

template <class T>
T read_at(std::span<const uint8_t> from, std::size_t offset) {
  T value;
  std::memcpy(&value, from.data() + offset, sizeof(T));
  return value;
}

// Bits of a byte array, lowest first; reads past the end give zeros.
class BitStream {
 public:
  explicit BitStream(std::span<const uint8_t> bytes, std::size_t bit) : bytes_(bytes), bit_(bit) {}
  uint32_t peek(uint32_t count) const {
    uint32_t value = 0;
    for (uint32_t i = 0; i < count; ++i) {
      const std::size_t at = bit_ + i;
      if (at / 8 < bytes_.size()) value |= (bytes_[at / 8] >> at % 8 & 1u) << i;
    }
    return value;
  }
  void skip(uint32_t count) { bit_ += count; }

 private:
  std::span<const uint8_t> bytes_;
  std::size_t bit_;
};

bool decode_zero_run(std::span<const uint8_t> payload, uint64_t count, std::vector<uint32_t>& words) {
  for (uint32_t tile = 0; tile < kTiles; ++tile) {
    uint64_t next = read_at<uint16_t>(payload, ZeroRunLayout::kTileStart + 2 * tile);
    for (uint32_t thread = tile * 32; thread < tile * 32 + 32; ++thread) {
      const auto mask = read_at<uint32_t>(payload, 4 * thread);
      if (next + static_cast<uint32_t>(std::popcount(mask)) > count) return false;
      for (uint32_t j = 0; j < kThreadWords; ++j) {
        if (!(mask >> j & 1)) continue;
        words[word_of(thread, j)] = read_at<uint32_t>(payload, ZeroRunLayout::kValues + 4 * next++);
      }
    }
  }
  return true;
}

// The 16 bits of a value (fp32: the upper 16) without its symbol, from the planes.
uint32_t plane_bits(CodecId id, std::span<const uint8_t> payload, uint32_t thread, uint32_t value) {
  const uint32_t warp = thread / 32, lane = thread % 32;
  // A thread's piece of a plane: 16 consecutive values' bytes, 512 bytes from the next piece.
  const uint32_t tile_bytes = id == CodecId::kExponent32 ? 1024 : 2048;
  const uint32_t byte = payload[warp * tile_bytes + value / 16 * 512 + lane * 16 + value % 16];
  if (id != CodecId::kExponentHalf) return (byte & 0x80) << 8 | (byte & 0x7F);
  uint32_t top = 0;
  for (uint32_t i = 0; i < 3; ++i) {
    const uint32_t bit = 3 * value + i, word = bit / 32;
    const std::size_t at = 32768 + warp * 768 + word / 2 * 256 + lane * 8 + word % 2 * 4 + bit % 32 / 8;
    top |= (payload[at] >> bit % 8 & 1u) << i;
  }
  return byte | (top & 3) << 8 | (top & 4) << 13;
}

bool decode_exponent(CodecId id, std::span<const uint8_t> payload, uint64_t params, const CodeTable& table,
                     std::vector<uint32_t>& words) {
  const bool is32 = id == CodecId::kExponent32;
  const uint32_t shift = id == CodecId::kExponentHalf ? 10 : 7, mask = id == CodecId::kExponentHalf ? 31 : 255;
  const uint32_t values = is32 ? 32 : 64;
  const std::size_t meta = ExponentLayout::plane_bytes(id, params);
  const std::size_t stream_bytes = ExponentLayout::stream_words(params) * std::size_t{4};
  const auto stream = payload.subspan(meta + ExponentLayout::kMeta, stream_bytes);
  auto symbol = [&](uint32_t stored) { return (stored ? stored + table.symbol_base : 0) & mask; };

  uint32_t start = 0;
  for (uint32_t tile = 0; tile < kTiles; ++tile) {
    const uint32_t end = read_at<uint16_t>(payload, meta + ExponentLayout::kUnits + 2 * tile);
    if (end < start || end * 4 > stream_bytes || end - start > values / 2 * kCodeBits) return false;
    std::size_t bit = start * std::size_t{32};
    for (uint32_t thread = tile * 32; thread < tile * 32 + 32; ++thread) {
      BitStream codes(stream, bit);
      bit += payload[meta + thread] * ExponentLayout::unit_bits(id);
      for (uint32_t value = 0; value < values; value += 2) {
        const uint32_t entry = table.decode[codes.peek(kCodeBits)];
        codes.skip(entry >> 12);
        const uint32_t first = symbol(entry & 63) << shift | plane_bits(id, payload, thread, value);
        const uint32_t second = symbol(entry >> 6 & 63) << shift | plane_bits(id, payload, thread, value + 1);
        if (is32) {
          words[word_of(thread, value)] = first << 16;
          words[word_of(thread, value + 1)] = second << 16;
        } else {
          words[word_of(thread, value / 2)] = second << 16 | first;
        }
      }
    }
    if ((bit - start * std::size_t{32} + 31) / 32 != end - start) return false;
    start = end;
  }
  if (is32 && !(params & ExponentLayout::kLowHalvesZero))
    for (uint32_t thread = 0; thread < kBlockThreads; ++thread)
      for (uint32_t j = 0; j < kThreadWords; ++j)
        words[word_of(thread, j)] |=
            read_at<uint16_t>(payload, 16384 + thread / 32 * 2048 + j / 8 * 512 + thread % 32 * 16 + j % 8 * 2);
  for (uint32_t i = 0; i < ExponentLayout::patches(params); ++i) {
    const auto patch = read_at<uint32_t>(payload, ExponentLayout::patch_offset(id, params) + 4 * i);
    const uint32_t half = is32 ? (patch >> 16) * 2 + 1 : patch >> 16;
    if (half / 2 >= kBlockWords) return false;
    uint32_t& word = words[half / 2];
    // The stream must hold the placeholder there, everything else alike.
    const uint32_t before = ((patch & 0xFFFF) & ~(mask << shift)) | (table.placeholder & mask) << shift;
    if ((word >> half % 2 * 16 & 0xFFFF) != before) return false;
    word = half % 2 ? (word & 0xFFFF) | patch << 16 : (word & 0xFFFF0000) | (patch & 0xFFFF);
  }
  return true;
}

bool decode_block(std::span<const uint8_t> blob, const BlobHeader& header, const BlobEntry& entry,
                  std::vector<uint32_t>& words) {
  const CodecId id = entry_codec(entry);
  const auto payload = blob.subspan(16ull * entry.offset, entry_length(entry));
  switch (id) {
    case CodecId::kRaw:
      std::memcpy(words.data(), payload.data(), payload.size());
      return true;
    case CodecId::kConstant:
      for (uint32_t i = 0; i < kBlockWords; ++i)
        words[i] =
            payload.empty() ? static_cast<uint32_t>(entry.params >> i % 2 * 32) : read_at<uint32_t>(payload, i % 4 * 4);
      return true;
    case CodecId::kZeroRun:
      return decode_zero_run(payload, entry.params, words);
    case CodecId::kExponent16:
    case CodecId::kExponentHalf:
    case CodecId::kExponent32: {
      const uint32_t kind = static_cast<uint32_t>(id) - static_cast<uint32_t>(CodecId::kExponent16);
      const auto table =
          read_at<CodeTable>(blob, tables_offset(header.block_count) + header.table_of[kind] * sizeof(CodeTable));
      return decode_exponent(id, payload, entry.params, table, words);
    }
    default:
      return false;
  }
}

}  // namespace

uint64_t block_checksum(std::span<const uint8_t> bytes) {
  uint64_t sum = 0;
  for (uint32_t at = 0; at < bytes.size(); at += 4) {
    uint32_t word = 0;
    std::memcpy(&word, bytes.data() + at, bytes.size() - at < 4 ? bytes.size() - at : 4);
    const WordPlace place = place_of(at / 4);
    sum += static_cast<uint64_t>(word) * word_key(place.j) * thread_key(place.thread);
  }
  return sum;
}

BlobReport check_blob(std::span<const uint8_t> blob) {
  BlobReport report;
  auto note = [&](std::string text) {
    if (report.problem.empty()) report.problem = std::move(text);
  };
  if (blob.size() < sizeof(BlobHeader)) {
    note("shorter than a header");
    return report;
  }
  const auto header = read_at<BlobHeader>(blob, 0);
  if (!header_valid(header, header.raw_bytes, blob.size())) {
    note("header damaged");
    return report;
  }
  report.header_ok = true;
  report.raw.resize(header.raw_bytes);
  for (uint32_t block = 0; block < header.block_count; ++block) {
    const uint32_t bytes = block_length(header.raw_bytes, block);
    const auto entry = read_at<BlobEntry>(blob, sizeof(BlobHeader) + 16ull * block);
    std::vector<uint32_t> words(kBlockWords, 0);
    uint8_t* out = report.raw.data() + static_cast<uint64_t>(block) * kBlockBytes;
    const bool decoded = entry_valid(entry, header, bytes) && decode_block(blob, header, entry, words);
    if (decoded) std::memcpy(out, words.data(), bytes);
    const auto expected = read_at<uint64_t>(blob, checksums_offset(header.block_count) + 8ull * block);
    if (decoded && block_checksum({out, bytes}) == expected) continue;
    report.bad_blocks.push_back(block);
    note("block " + std::to_string(block) + (decoded ? " fails its checksum" : " is malformed"));
  }
  return report;
}

}  // namespace loretoken
