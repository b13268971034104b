// Making a blob's header.
#ifndef LORETOKEN_DEVICE_HEADER_CUH
#define LORETOKEN_DEVICE_HEADER_CUH

#include "jobs.h"
#include "loretoken/kernel.h"

namespace loretoken {

__device__ inline ElementType element_type_of(CodecId kind) {
  return kind == CodecId::kExponent16     ? ElementType::kBf16
         : kind == CodecId::kExponentHalf ? ElementType::kFp16
         : kind == CodecId::kExponent32   ? ElementType::kFp32
                                          : ElementType::kUnknown;
}

// All but codec_set and the checksum. `table`: the blob carries the code table of `kind`.
__device__ inline BlobHeader make_header(uint64_t raw_bytes, uint64_t blob_bytes, CodecId kind, bool table) {
  BlobHeader header = {};
  header.magic = kBlobMagic;
  header.version = kBlobVersion;
  header.element_type = element_type_of(kind);
  header.raw_bytes = raw_bytes;
  header.blob_bytes = blob_bytes;
  header.block_count = block_count_of(raw_bytes);
  header.table_count = table;
  for (uint32_t i = 0; i < 4; ++i)
    header.table_of[i] =
        table && i + static_cast<uint32_t>(CodecId::kExponent16) == static_cast<uint32_t>(kind) ? 0 : 0xFF;
  return header;
}

}  // namespace loretoken

#endif  // LORETOKEN_DEVICE_HEADER_CUH
