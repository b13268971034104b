#include "memory/host_space.h"

namespace loretoken {

void HostSpace::add_chunk(uint64_t base, uint64_t bytes, uint64_t now_ns) {
  chunks_[base] = {bytes, 0, now_ns};
  free_.insert(base, bytes - kAlignment);
}

std::map<uint64_t, HostSpace::Chunk>::iterator HostSpace::chunk_of(uint64_t address) {
  return std::prev(chunks_.upper_bound(address));
}

uint64_t HostSpace::allocate(uint64_t bytes) {
  bytes = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  uint64_t address = 0;
  if (bytes == 0 || !free_.take(bytes, &address)) return 0;
  blobs_.emplace(address, bytes);
  used_ += bytes;
  ++chunk_of(address)->second.blobs;
  return address;
}

void HostSpace::release(uint64_t address, uint64_t now_ns) {
  const auto it = blobs_.find(address);
  if (it == blobs_.end()) return;
  used_ -= it->second;
  free_.insert(address, it->second);
  blobs_.erase(it);
  Chunk& chunk = chunk_of(address)->second;
  if (--chunk.blobs == 0) chunk.empty_since = now_ns;
}

Extent HostSpace::take_empty(uint64_t before_ns) {
  for (auto it = chunks_.begin(); it != chunks_.end(); ++it) {
    if (it->second.blobs != 0 || it->second.empty_since >= before_ns) continue;
    const Extent chunk = {it->first, it->second.bytes};
    free_.remove(chunk.base, chunk.bytes - kAlignment);
    chunks_.erase(it);
    return chunk;
  }
  return {};
}

}  // namespace loretoken
