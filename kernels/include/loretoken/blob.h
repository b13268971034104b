// The blob: compressed bytes of one allocation, self-describing and checksummed. Plain C++ for host, GPU and simulator.
//
//   0            128                 128+16n          128+24n        table_end                      blob_bytes
//   +------------+-------------------+----------------+--------------+-----------+-----------+---------+
//   | BlobHeader | BlobEntry[n]      | uint64_t[n]    | CodeTable[t] | payload 0 | payload 1 | ...     |
//   |            | n = blocks        | checksums      | t = 0 … 3    | each starts on 128 bytes        |
//   +------------+-------------------+----------------+--------------+---------------------------------+
//
// The raw bytes are cut into blocks of 64 KiB; the last one may be shorter (1 byte … 64 KiB). Every block is coded by
// itself and names its codec. All numbers are little-endian. A decoder trusts nothing: entry_valid() and
// header_valid() must hold before an offset or a length is used, and a block counts only if its checksum agrees.
//
// Thread layout. Every kernel gives a block to 512 threads. Thread t (warp w = t / 32, lane l = t % 32) owns the 32
// words (uint32_t) number  w*1024 + g*128 + l*4 + k,  g = 0…7, k = 0…3: eight 16-byte accesses, coalesced for each g.
// "Word j of thread t" below means j = 4g + k.
#ifndef LORETOKEN_BLOB_H
#define LORETOKEN_BLOB_H

#include <cstdint>

#if defined(__CUDACC__)
#define LORETOKEN_BOTH __host__ __device__
#else
#define LORETOKEN_BOTH
#endif

namespace loretoken {

constexpr uint32_t kBlockBytes = 65536;
constexpr uint32_t kBlockWords = kBlockBytes / 4;
constexpr uint32_t kBlockThreads = 512;
constexpr uint32_t kTiles = kBlockThreads / 32;  // warps of a block; a tile is a warp's 4 KiB
constexpr uint32_t kThreadWords = 32;
constexpr uint32_t kPayloadAlign = 128;      // whole lines: an unaligned plane would cost a sector more per access
constexpr uint32_t kBlobMagic = 0x424B544C;  // "LTKB"
constexpr uint32_t kBlobVersion = 1;

// Ids are part of the format. Those of design §4 without a decoder here are reserved.
enum class CodecId : uint8_t {
  kRaw = 0,           // payload: the bytes
  kConstant = 1,      // no payload: `params` is an 8-byte pattern; or 16 bytes of payload: a 16-byte pattern
  kZeroRun = 2,       // see ZeroRunLayout
  kExponent16 = 3,    // bf16, see ExponentLayout
  kExponentHalf = 4,  // fp16
  kExponent32 = 5,    // fp32
  kSparse = 6,
  kDictionary = 7,
  kDelta = 8,
  kPattern = 9,
  kLossyFp8 = 10,
  kLossyInt8 = 11,
  kLossyInt4 = 12,
};
constexpr uint32_t kCodecCount = 16;  // room in counters and masks
constexpr uint32_t kDecodableCodecs = 0x3F;

using CodecMask = uint32_t;  // bit per CodecId
LORETOKEN_BOTH constexpr CodecMask codec_bit(CodecId id) {
  return 1u << static_cast<uint32_t>(id);
}

enum class ElementType : uint16_t { kUnknown = 0, kBf16 = 1, kFp16 = 2, kFp32 = 3 };

enum BlobFlags : uint16_t { kBlobLossy = 1 };

struct BlobHeader {
  uint32_t magic;
  uint16_t version;
  ElementType element_type;  // what the analysis took the bytes for; decoders do not need it
  uint64_t raw_bytes;        // logical length
  uint64_t blob_bytes;       // stored length, header included
  uint32_t block_count;
  CodecMask codec_set;       // codecs that occur
  uint16_t flags;            // BlobFlags
  uint16_t table_count;      // CodeTables behind the checksums, 0 … 3
  float lossy_bound;         // largest relative error of any value; 0 unless kBlobLossy
  uint8_t table_of[4];       // table index of kExponent16, kExponentHalf, kExponent32 (0xFF: none), 0xFF
  uint32_t reserved[18];     // zero
  uint64_t header_checksum;  // header_sum() of the 120 bytes before
};
static_assert(sizeof(BlobHeader) == 128);

struct BlobEntry {
  uint32_t offset;            // of the payload from the start of the blob, in units of 16 bytes; 0 when length is 0
  uint32_t length_and_codec;  // bits 0…23 payload bytes, bits 24…31 CodecId
  uint64_t params;            // by codec
};
static_assert(sizeof(BlobEntry) == 16);

// A joint prefix code over two symbols, at most 11 bits. `decode[b]`, b = the next 11 bits of the stream (first bit
// lowest):  bits 12…15 length · bits 6…11 second symbol · bits 0…5 first symbol. Symbols are stored as s - symbol_base,
// 0 for symbol 0. Values whose symbol has no code take `placeholder` in the stream and are patched.
constexpr uint32_t kCodeBits = 11;
struct CodeTable {
  uint32_t symbol_base;
  uint32_t placeholder;
  uint32_t symbol_count;
  uint32_t reserved;
  uint16_t decode[1u << kCodeBits];
};
static_assert(sizeof(CodeTable) == 4112);

// kZeroRun: one mask per thread (bit j: its word j is not zero), the first value of each tile, the values in order of
// thread, then word.  params: number of values.
//   | uint32_t mask[512] | uint16_t tile_start[16] | uint32_t values[params] |
struct ZeroRunLayout {
  static constexpr uint32_t kTileStart = 4 * kBlockThreads;
  static constexpr uint32_t kValues = kTileStart + 2 * kTiles;
};

// kExponent*: only for whole blocks. A thread's values are coded in pairs, in order of its words.
//   kExponent16    symbol = bits 7…14 of each 16-bit half word; pair = (low half, high half) of a word
//   kExponentHalf  symbol = bits 10…14 of each half word; pair as above
//   kExponent32    symbol = bits 23…30 of each word; pair = words j and j + 1, j even
// Payload (sizes in bytes; planes give each thread 16-byte pieces in the coalesced order of the thread layout):
//   | planes | uint8_t units[512] | uint16_t tile_end[16] | stream | patches |
//   planes  kExponent16    32768  sign and mantissa, 8 bits a value
//           kExponentHalf  32768  low byte of a value, then 12288: sign and mantissa bits 8, 9, 3 bits a value
//           kExponent32    16384  sign and mantissa bits 16…22, 8 bits a value, then 32768: low half words (none with
//                                 kLowHalvesZero)
//   units     length of each thread's stream in units of unit_bits(); streams of a tile follow one another bit by bit,
//             the first one starts on a word
//   tile_end  end of each tile in words of the stream
//   patches   uint32_t each: index of the value << 16 | its 16 bits (kExponent32: its upper 16 bits). The index counts
//             half words of the block, kExponent32: words. Undamaged, the place holds the same bits with the
//             placeholder's symbol before
// params: bits 0…15 patches · bits 16…31 stream length in words · bit 32 kLowHalvesZero
struct ExponentLayout {
  static constexpr uint32_t kUnits = kBlockThreads;
  static constexpr uint32_t kMeta = kUnits + 2 * kTiles;
  static constexpr uint64_t kLowHalvesZero = 1ull << 32;
  static constexpr uint32_t kMaxPatches = 1024;

  LORETOKEN_BOTH static constexpr uint32_t unit_bits(CodecId id) { return id == CodecId::kExponent32 ? 1 : 2; }
  LORETOKEN_BOTH static constexpr uint32_t plane_bytes(CodecId id, uint64_t params) {
    return id == CodecId::kExponent16     ? 32768
           : id == CodecId::kExponentHalf ? 45056
           : params & kLowHalvesZero      ? 16384
                                          : 49152;
  }
  LORETOKEN_BOTH static constexpr uint32_t patches(uint64_t params) { return static_cast<uint32_t>(params & 0xFFFF); }
  LORETOKEN_BOTH static constexpr uint32_t stream_words(uint64_t params) {
    return static_cast<uint32_t>(params >> 16 & 0xFFFF);
  }
  // Offset of the patches: the stream is padded to 16 bytes.
  LORETOKEN_BOTH static constexpr uint32_t patch_offset(CodecId id, uint64_t params) {
    return plane_bytes(id, params) + kMeta + (stream_words(params) * 4 + 15) / 16 * 16;
  }
  LORETOKEN_BOTH static constexpr uint32_t length(CodecId id, uint64_t params) {
    return patch_offset(id, params) + 4 * patches(params);
  }
};

LORETOKEN_BOTH constexpr uint32_t entry_length(const BlobEntry& e) {
  return e.length_and_codec & 0xFFFFFF;
}
LORETOKEN_BOTH constexpr CodecId entry_codec(const BlobEntry& e) {
  return static_cast<CodecId>(e.length_and_codec >> 24);
}

LORETOKEN_BOTH constexpr uint32_t block_count_of(uint64_t raw_bytes) {
  return static_cast<uint32_t>((raw_bytes + kBlockBytes - 1) / kBlockBytes);
}
LORETOKEN_BOTH constexpr uint32_t block_length(uint64_t raw_bytes, uint32_t block) {
  const uint64_t left = raw_bytes - static_cast<uint64_t>(block) * kBlockBytes;
  return left < kBlockBytes ? static_cast<uint32_t>(left) : kBlockBytes;
}
LORETOKEN_BOTH constexpr uint64_t checksums_offset(uint32_t blocks) {
  return sizeof(BlobHeader) + 16ull * blocks;
}
LORETOKEN_BOTH constexpr uint64_t tables_offset(uint32_t blocks) {
  return (sizeof(BlobHeader) + 24ull * blocks + 15) / 16 * 16;
}
LORETOKEN_BOTH constexpr uint64_t align_payload(uint64_t bytes) {
  return (bytes + kPayloadAlign - 1) / kPayloadAlign * kPayloadAlign;
}
LORETOKEN_BOTH constexpr uint64_t payloads_offset(uint32_t blocks, uint32_t tables) {
  return align_payload(tables_offset(blocks) + tables * sizeof(CodeTable));
}
// Room of a block's payload, in the units of BlobEntry::offset.
LORETOKEN_BOTH constexpr uint32_t payload_units(const BlobEntry& entry) {
  return static_cast<uint32_t>(align_payload(entry_length(entry)) / 16);
}
// Nothing is ever larger: every block raw, no table.
LORETOKEN_BOTH constexpr uint64_t max_blob_bytes(uint64_t raw_bytes) {
  return payloads_offset(block_count_of(raw_bytes), 0) + align_payload(raw_bytes);
}

// Coefficients of the block checksum:  sum over words of  word * word_key(j) * thread_key(t)  modulo 2^64, a missing
// tail counting as zeros. All keys are odd, so no single changed word goes unnoticed.
LORETOKEN_BOTH constexpr uint32_t word_key(uint32_t j) {
  uint32_t x = j * 0x9E3779B1u + 0x7F4A7C15u;
  x ^= x >> 15;
  x *= 0x85EBCA77u;
  x ^= x >> 13;
  x *= 0xC2B2AE3Du;
  x ^= x >> 16;
  return x | 1u;
}
LORETOKEN_BOTH constexpr uint64_t thread_key(uint32_t t) {
  return 0x9E3779B97F4A7C15ull * (2ull * t + 1);
}

LORETOKEN_BOTH inline uint64_t header_sum(const BlobHeader& header) {
  const auto* words = reinterpret_cast<const uint32_t*>(&header);
  uint64_t sum = 0x4C544B42;
  for (uint32_t i = 0; i < 30; ++i) sum += static_cast<uint64_t>(words[i]) * word_key(i) * thread_key(i);
  return sum;
}

// Whether a header may be used for an allocation of raw_bytes whose blob lies in `capacity` bytes.
LORETOKEN_BOTH inline bool header_valid(const BlobHeader& h, uint64_t raw_bytes, uint64_t capacity) {
  if (h.magic != kBlobMagic || h.version != kBlobVersion || h.raw_bytes != raw_bytes || raw_bytes == 0) return false;
  if (h.block_count != block_count_of(raw_bytes) || h.table_count > 3 || h.flags != 0) return false;
  if (h.blob_bytes > capacity || h.blob_bytes < payloads_offset(h.block_count, h.table_count)) return false;
  for (uint32_t i = 0; i < 3; ++i)
    if (h.table_of[i] != 0xFF && h.table_of[i] >= h.table_count) return false;
  return header_sum(h) == h.header_checksum;
}

// Whether an entry may be decoded into `bytes` raw bytes, given a valid header. Checks everything but the payload.
LORETOKEN_BOTH inline bool entry_valid(const BlobEntry& e, const BlobHeader& h, uint32_t bytes) {
  const uint32_t length = entry_length(e);
  const CodecId id = entry_codec(e);
  if (static_cast<uint32_t>(id) >= kCodecCount || !(codec_bit(id) & kDecodableCodecs & h.codec_set)) return false;
  const uint64_t begin = 16ull * e.offset;
  if (length == 0 ? begin != 0
                  : begin < payloads_offset(h.block_count, h.table_count) || begin % kPayloadAlign ||
                        begin + length > h.blob_bytes)
    return false;
  switch (id) {
    case CodecId::kRaw:
      return length == bytes && e.params == 0;
    case CodecId::kConstant:
      return length == 0 || (length == 16 && e.params == 0);
    case CodecId::kZeroRun:
      return e.params <= kBlockWords && length == ZeroRunLayout::kValues + 4 * static_cast<uint32_t>(e.params);
    default: {
      const bool low_zero = e.params & ExponentLayout::kLowHalvesZero;
      const uint32_t kind = static_cast<uint32_t>(id) - static_cast<uint32_t>(CodecId::kExponent16);
      return bytes == kBlockBytes && e.params >> 33 == 0 && !(low_zero && id != CodecId::kExponent32) &&
             ExponentLayout::patches(e.params) <= ExponentLayout::kMaxPatches &&
             length == ExponentLayout::length(id, e.params) && h.table_of[kind] != 0xFF;
    }
  }
}

}  // namespace loretoken

#endif  // LORETOKEN_BLOB_H
