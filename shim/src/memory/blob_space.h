// The arithmetic of the blob arena: where a blob goes, which chunks must be backed for it, which fall empty.
//
// Free space is kept for backed chunks only. When nothing fits, the run of unbacked chunks that needs the fewest new
// ones (counting the free ends of its backed neighbours) is backed.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "memory/extents.h"

namespace loretoken {

inline constexpr uint64_t kBlobAlignment = 256;

class ChunkBacking {
 public:
  virtual ~ChunkBacking() = default;
  virtual bool back(uint64_t address, uint64_t bytes) = 0;  // false: no room
  virtual void unback(uint64_t address, uint64_t bytes) = 0;
};

class BlobSpace {
 public:
  BlobSpace(uint64_t base, uint64_t chunk_bytes, uint32_t chunks, ChunkBacking& backing);

  uint64_t allocate(uint64_t bytes);  // 0: no room
  void release(uint64_t address);     // unknown addresses are ignored
  uint64_t won_by_release(uint64_t address) const;
  uint64_t used() const { return used_; }
  uint64_t backed() const { return backed_; }
  uint64_t blob_bytes(uint64_t address) const;

 private:
  struct Growth {
    uint32_t first = 0;
    uint32_t count = 0;  // 0: impossible
  };
  Growth find_growth(uint64_t bytes) const;
  bool back(Growth growth);
  void unback(uint32_t chunk);
  uint64_t address_of(uint32_t chunk) const { return base_ + chunk * chunk_bytes_; }
  // Chunks that lie wholly inside the range: [first, last).
  void whole_chunks(Extent range, uint32_t* first, uint32_t* last) const;

  uint64_t base_;
  uint64_t chunk_bytes_;
  ChunkBacking& backing_;
  std::vector<bool> is_backed_;
  Extents free_;
  std::unordered_map<uint64_t, uint64_t> blobs_;  // address → bytes
  uint64_t used_ = 0;
  uint64_t backed_ = 0;
};

}  // namespace loretoken
