// Parameters of the batched kernels and the layout of a plan; shared with the host side.
#ifndef LORETOKEN_DEVICE_JOBS_H
#define LORETOKEN_DEVICE_JOBS_H

#include <cstdint>

#include "loretoken/codec_layout.h"

namespace loretoken {

constexpr uint32_t kJobsPerLaunch = 64;
constexpr uint32_t kPackSharedBytes = 54 * 1024;    // dynamic shared memory of lt_pack and lt_pack_direct
constexpr uint32_t kVerifySharedBytes = 97 * 1024;  // of lt_verify

struct DeviceJob {
  uint64_t raw, raw_bytes, blob, blob_capacity, plan, result;
};

// A launch covers the blocks of up to 64 jobs, one after the other: CTA b belongs to the last job with first_block <=
// b.
struct Jobs {
  uint32_t count;
  CodecMask allowed;
  uint32_t first_block[kJobsPerLaunch];  // ~0 past count
  DeviceJob jobs[kJobsPerLaunch];
};
static_assert(sizeof(Jobs) <= 4096);  // parameter space of every supported GPU

// Counters at the start of every plan: zero between calls (the last CTA of a job clears them).
struct Scratch {
  uint32_t blocks_done;
  uint32_t bad_blocks;
  uint32_t first_bad_inverted;  // ~index, so that zero means none and a maximum finds the first
  uint32_t changed_blocks;
  uint32_t header_bad;
  uint32_t source_changed;
  uint32_t too_small;
  uint32_t cursor;  // of a one-pass pack: units of 16 bytes taken behind the tables
  uint32_t reserved[56];
};
static_assert(sizeof(Scratch) == kScratchBytes);

// Symbol → index among the coded symbols (kNoCode: none), pair of indices → bits and length.
constexpr uint32_t kMaxSymbols = 14;
constexpr uint32_t kNoCode = 15;
struct EncodeTable {
  uint8_t index[256];
  uint32_t code[256];  // [first + 16 * second]: bits 0…10 code, 16…20 length, 31 at least one value is patched
};

constexpr uint32_t kSampleParts = 16;       // CTAs that sample a job
constexpr uint32_t kSampleHistogram = 513;  // upper half words' symbols, lower ones', zero lower half words

// The plan of a job, in its own device memory. `entries` (one per block) follow.
struct alignas(16) Plan {
  Scratch scratch;
  BlobHeader header;  // complete after the layout kernel
  unsigned long long codec_in[kCodecCount], codec_out[kCodecCount];
  uint32_t kind;      // the exponent codec whose table this is, 0: none
  CodecMask allowed;  // in the analysis, so that pack chooses alike
  uint32_t reserved[2];
  EncodeTable encode;
  alignas(16) CodeTable table;
  uint32_t samples[kSampleParts][kSampleHistogram];
};

}  // namespace loretoken

#endif  // LORETOKEN_DEVICE_JOBS_H
