// What host and kernels share beside the blob itself: results, job parameters, the scan's tables. Fixed layouts.
#ifndef LORETOKEN_CODEC_LAYOUT_H
#define LORETOKEN_CODEC_LAYOUT_H

#include <cstdint>

#include "loretoken/blob.h"

namespace loretoken {

enum class Status : uint32_t {
  kOk = 0,
  kBadBlob = 1,        // header or size wrong
  kBadBlock = 2,       // at least one block malformed, failed its checksum, or differed (verify)
  kTooSmall = 3,       // the blob does not fit its capacity
  kSourceChanged = 4,  // raw changed between analyse and pack
};

// Written once per call and job, whole, `done` last (release, system scope). `done` says that the figures are valid;
// the bytes of raw and blob are ordered by the stream. Zero it before queueing a call.
struct Result {
  uint64_t blob_bytes;
  Status status;
  uint32_t bad_blocks;
  uint32_t first_bad_block;  // ~0 when bad_blocks is 0
  uint32_t changed_blocks;
  uint64_t codec_in[kCodecCount];   // raw bytes of the blocks coded by each codec
  uint64_t codec_out[kCodecCount];  // their payload bytes
  ElementType element_type;
  uint16_t reserved;
  uint32_t done;  // 1
};
static_assert(sizeof(Result) == 288);

constexpr uint32_t kScratchBytes = 256;  // counters at the start of every plan

struct ScanRange {
  uint64_t base;
  uint64_t bytes;
  uint32_t index;  // comes back in the records; below 2^22
  uint32_t reserved;
};
struct ScanWindow {
  uint64_t lo, hi;  // both inclusive, below 2^47
};
constexpr uint32_t kScanWindows = 4;
constexpr uint32_t kScanEpochs = 65535;

struct ScanRecord {
  uint32_t index;  // of the range that holds the pointer
  uint32_t page;   // target address >> 21
};
struct ScanList {
  uint32_t count;     // records that follow, at most the capacity
  uint32_t overflow;  // 1: the list or the table was too small, records are missing
  uint32_t epoch;
  uint32_t done;  // 1, written last (release, system scope); zero it before queueing
  // ScanRecord records[capacity] follow
};
static_assert(sizeof(ScanList) == 16);

// Start of the scan's table; slots of 8 bytes follow: epoch << 48 | index << 26 | page.
struct ScanTableHeader {
  uint32_t records, overflow, blocks_done;
  uint32_t reserved[13];
};
static_assert(sizeof(ScanTableHeader) == 64);

}  // namespace loretoken

#endif  // LORETOKEN_CODEC_LAYOUT_H
