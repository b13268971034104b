// The arithmetic of the host arena: blobs in pinned chunks. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <unordered_map>

#include "memory/extents.h"

namespace loretoken {

class HostSpace {
 public:
  static constexpr uint64_t kAlignment = 256;

  void add_chunk(uint64_t base, uint64_t bytes, uint64_t now_ns);
  uint64_t allocate(uint64_t bytes);  // best fit over all chunks; 0: none fits
  void release(uint64_t address, uint64_t now_ns);
  // Takes out a chunk that has been empty since before `before_ns`; bytes == 0: there is none.
  Extent take_empty(uint64_t before_ns);

  uint64_t used() const { return used_; }
  uint64_t free_bytes() const { return free_.total(); }

 private:
  struct Chunk {
    uint64_t bytes = 0;
    uint32_t blobs = 0;
    uint64_t empty_since = 0;
  };
  std::map<uint64_t, Chunk>::iterator chunk_of(uint64_t address);

  std::map<uint64_t, Chunk> chunks_;  // by base
  // Chunks may be neighbours in memory, so free ranges may span two. A blob across them would be harmless, but an empty
  // chunk could not be told; each chunk therefore keeps its last kAlignment bytes out of the free ranges.
  Extents free_;
  std::unordered_map<uint64_t, uint64_t> blobs_;
  uint64_t used_ = 0;
};

}  // namespace loretoken
