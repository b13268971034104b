// An independent decoder of blobs on the CPU, in plain C++: for tests, tools and fetched blobs that are in doubt.
//
// Written from the description in blob.h and sharing only its constants with the kernels. Slow and simple on purpose.
#ifndef LORETOKEN_BLOB_CHECK_H
#define LORETOKEN_BLOB_CHECK_H

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "loretoken/blob.h"

namespace loretoken {

struct BlobReport {
  bool header_ok = false;
  std::vector<uint32_t> bad_blocks;  // malformed, or failing their checksum
  std::vector<uint8_t> raw;          // header.raw_bytes; malformed blocks are zero
  std::string problem;               // the first one, for people

  bool ok() const { return header_ok && bad_blocks.empty(); }
};

// Validates and decodes `blob`, whatever it holds. Never reads outside it.
BlobReport check_blob(std::span<const uint8_t> blob);

// Checksum of one block's decoded bytes (at most 64 KiB).
uint64_t block_checksum(std::span<const uint8_t> bytes);

}  // namespace loretoken

#endif  // LORETOKEN_BLOB_CHECK_H
