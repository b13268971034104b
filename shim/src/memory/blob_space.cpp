#include "memory/blob_space.h"

#include <algorithm>

namespace loretoken {

BlobSpace::BlobSpace(uint64_t base, uint64_t chunk_bytes, uint32_t chunks, ChunkBacking& backing)
    : base_(base), chunk_bytes_(chunk_bytes), backing_(backing), is_backed_(chunks, false) {}

uint64_t BlobSpace::allocate(uint64_t bytes) {
  if (bytes == 0) return 0;
  bytes = (bytes + kBlobAlignment - 1) / kBlobAlignment * kBlobAlignment;
  uint64_t address = 0;
  if (!free_.take(bytes, &address)) {
    const Growth growth = find_growth(bytes);
    if (growth.count == 0 || !back(growth) || !free_.take(bytes, &address)) return 0;
  }
  blobs_.emplace(address, bytes);
  used_ += bytes;
  return address;
}

BlobSpace::Growth BlobSpace::find_growth(uint64_t bytes) const {
  Growth best;
  const auto chunks = static_cast<uint32_t>(is_backed_.size());
  for (uint32_t first = 0; first < chunks;) {
    if (is_backed_[first]) {
      ++first;
      continue;
    }
    uint32_t end = first;
    while (end < chunks && !is_backed_[end]) ++end;
    const uint64_t lead = free_.ending_at(address_of(first)).bytes;
    const uint64_t trail = end < chunks ? free_.containing(address_of(end)).bytes : 0;
    const auto needed = static_cast<uint32_t>((bytes - std::min(bytes, lead) + chunk_bytes_ - 1) / chunk_bytes_);
    uint32_t count = 0;
    if (needed <= end - first) {
      count = needed;
    } else if (lead + (end - first) * chunk_bytes_ + trail >= bytes) {
      count = end - first;
    }
    if (count != 0 && (best.count == 0 || count < best.count)) best = {first, count};
    first = end;
  }
  return best;
}

bool BlobSpace::back(Growth growth) {
  for (uint32_t i = 0; i < growth.count; ++i) {
    const uint32_t chunk = growth.first + i;
    if (!backing_.back(address_of(chunk), chunk_bytes_)) {
      for (uint32_t undo = growth.first; undo < chunk; ++undo) unback(undo);
      return false;
    }
    is_backed_[chunk] = true;
    backed_ += chunk_bytes_;
    free_.insert(address_of(chunk), chunk_bytes_);
  }
  return true;
}

void BlobSpace::unback(uint32_t chunk) {
  free_.remove(address_of(chunk), chunk_bytes_);
  backing_.unback(address_of(chunk), chunk_bytes_);
  is_backed_[chunk] = false;
  backed_ -= chunk_bytes_;
}

void BlobSpace::whole_chunks(Extent range, uint32_t* first, uint32_t* last) const {
  *first = static_cast<uint32_t>((range.base - base_ + chunk_bytes_ - 1) / chunk_bytes_);
  *last = static_cast<uint32_t>((range.end() - base_) / chunk_bytes_);
}

void BlobSpace::release(uint64_t address) {
  const auto it = blobs_.find(address);
  if (it == blobs_.end()) return;
  used_ -= it->second;
  const Extent merged = free_.insert(address, it->second);
  blobs_.erase(it);
  uint32_t first = 0;
  uint32_t last = 0;
  whole_chunks(merged, &first, &last);
  for (uint32_t chunk = first; chunk < last; ++chunk) unback(chunk);
}

uint64_t BlobSpace::won_by_release(uint64_t address) const {
  const auto it = blobs_.find(address);
  if (it == blobs_.end()) return 0;
  const uint64_t before = free_.ending_at(address).bytes;
  const Extent after = free_.containing(address + it->second);
  Extent merged = {address - before, before + it->second};
  if (after.base == address + it->second) merged.bytes += after.bytes;
  uint32_t first = 0;
  uint32_t last = 0;
  whole_chunks(merged, &first, &last);
  return last > first ? (last - first) * chunk_bytes_ : 0;
}

uint64_t BlobSpace::blob_bytes(uint64_t address) const {
  const auto it = blobs_.find(address);
  return it == blobs_.end() ? 0 : it->second;
}

}  // namespace loretoken
