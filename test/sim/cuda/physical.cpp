#include "physical.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace loretoken::sim {

namespace {

constexpr uint64_t kFileFactor = 8;  // file size over capacity: fragmentation never refuses what the capacity allows
constexpr uint64_t kDirtyLimit = 256ull << 20;  // freed bytes that stay committed on the host
constexpr size_t kPatternBytes = 64u << 10;

void add_hole(std::map<uint64_t, uint64_t>& holes, uint64_t offset, uint64_t size) {
  auto next = holes.lower_bound(offset);
  if (next != holes.end() && offset + size == next->first) {
    size += next->second;
    next = holes.erase(next);
  }
  if (next != holes.begin()) {
    auto before = std::prev(next);
    if (before->first + before->second == offset) {
      before->second += size;
      return;
    }
  }
  holes[offset] = size;
}

bool take_last_hole(std::map<uint64_t, uint64_t>& holes, uint64_t size, uint64_t& offset) {
  for (auto it = holes.rbegin(); it != holes.rend(); ++it) {
    if (it->second < size) continue;
    offset = it->first + it->second - size;
    it->second -= size;
    if (!it->second) holes.erase(offset);
    return true;
  }
  return false;
}

bool take_hole(std::map<uint64_t, uint64_t>& holes, uint64_t size, uint64_t& offset) {
  for (auto it = holes.begin(); it != holes.end(); ++it) {
    if (it->second < size) continue;
    offset = it->first;
    const uint64_t rest = it->second - size;
    holes.erase(it);
    if (rest) holes[offset + size] = rest;
    return true;
  }
  return false;
}

}  // namespace

// What memory held before anyone had it is nobody's access: a thread sanitizer need not keep four bytes of its own for
// each byte of the card.
__attribute__((no_sanitize("thread"), optimize("no-tree-loop-distribute-patterns"))) static void copy_unseen(
    char* target, const char* source, uint64_t size) {
  const uint64_t words = size / 8;
  for (uint64_t i = 0; i < words; ++i)
    reinterpret_cast<uint64_t*>(target)[i] = reinterpret_cast<const uint64_t*>(source)[i];
  for (uint64_t i = words * 8; i < size; ++i) target[i] = source[i];
}

bool DeviceMemory::open(uint64_t capacity, uint64_t seed, bool poison) {
  capacity_ = capacity;
  poison_ = poison;
  file_size_ = round_up(capacity, kGranularity) * kFileFactor;
  fd_ = memfd_create("loretoken-sim-vram", MFD_CLOEXEC);
  if (fd_ < 0 || ftruncate(fd_, static_cast<off_t>(file_size_)) != 0) return false;
  void* shadow = mmap(nullptr, file_size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd_, 0);
  void* room = mmap(nullptr, file_size_ + kGranularity, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (shadow == MAP_FAILED || room == MAP_FAILED) return false;
  auto base = round_up(reinterpret_cast<uintptr_t>(room), kGranularity);
  void* arena =
      mmap(reinterpret_cast<void*>(base), file_size_, PROT_NONE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd_, 0);
  if (arena == MAP_FAILED) return false;
  shadow_ = static_cast<char*>(shadow);
  arena_ = static_cast<char*>(arena);
  holes_[0] = file_size_;
  pattern_.resize(kPatternBytes);
  uint64_t state = seed ^ 0x9e3779b97f4a7c15ull;
  for (size_t i = 0; i < kPatternBytes; i += 8) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    // The top bits of the generator are the good ones; no word is zero.
    const uint64_t word = (state ^ (state >> 29)) | 0x0101010101010101ull;
    std::memcpy(&pattern_[i], &word, 8);
  }
  return true;
}

bool DeviceMemory::take(uint64_t size, uint64_t& offset) {
  return take_hole(holes_, size, offset);
}

bool DeviceMemory::take_last(uint64_t size, uint64_t& offset) {
  return take_last_hole(holes_, size, offset);
}

void DeviceMemory::give(uint64_t offset, uint64_t size) {
  dirty_ += size;
  if (dirty_ > kDirtyLimit) {
    fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset), static_cast<off_t>(size));
    dirty_ -= size;
  }
  add_hole(holes_, offset, size);
}

bool DeviceMemory::charge(uint64_t bytes) {
  if (bytes > capacity_ - used_) return false;
  used_ += bytes;
  return true;
}

void DeviceMemory::uncharge(uint64_t bytes) {
  used_ -= bytes;
}

void DeviceMemory::poison(uint64_t offset, uint64_t size) const {
  fill(shadow_ + offset, size);
}

void DeviceMemory::fill(char* target, uint64_t size) const {
  if (!poison_) return;
  for (uint64_t done = 0; done < size; done += kPatternBytes)
    copy_unseen(target + done, pattern_.data(), std::min<uint64_t>(kPatternBytes, size - done));
}

void DeviceMemory::map(uint64_t offset, uint64_t size) const {
  mprotect(arena_ + offset, size, PROT_READ | PROT_WRITE);
}

void DeviceMemory::unmap(uint64_t offset, uint64_t size) const {
  mprotect(arena_ + offset, size, PROT_NONE);
}

// Charges and takes; neither when one of the two fails.
bool Heap::take(uint64_t size, uint64_t& offset) {
  if (!reserve_.hold(size)) return false;
  if (owner_ == HeapOf::kPool ? memory_->take_last(size, offset) : memory_->take(size, offset)) return true;
  drop(size);
  return false;
}

void Heap::drop(uint64_t bytes) {
  reserve_.drop(bytes);
  if (!keep_freed_) reserve_.trim(0);
}

bool Heap::alloc(uint64_t size, Block& block) {
  if (size > kSmallLimit) {
    block = {0, round_up(size, kGranularity), true};
    return block.size >= size && take(block.size, block.offset);
  }
  block = {0, round_up(std::max<uint64_t>(size, 1), kSmallAlign), false};
  uint64_t inside = 0;
  for (auto& [offset, slab] : slabs_) {
    if (!take_hole(slab.holes, block.size, inside)) continue;
    slab.used += block.size;
    block.offset = offset + inside;
    return true;
  }
  Slab slab{0, block.size, {}};
  if (!take(kGranularity, slab.offset)) return false;
  memory_->map(slab.offset, kGranularity);
  slab.holes[block.size] = kGranularity - block.size;
  block.offset = slab.offset;
  slabs_.emplace(slab.offset, slab);
  return true;
}

void Heap::free(const Block& block) {
  if (block.large) {
    memory_->unmap(block.offset, block.size);
    memory_->give(block.offset, block.size);
    drop(block.size);
    return;
  }
  auto it = std::prev(slabs_.upper_bound(block.offset));
  Slab& slab = it->second;
  add_hole(slab.holes, block.offset - slab.offset, block.size);
  slab.used -= block.size;
  if (slab.used) return;
  memory_->unmap(slab.offset, kGranularity);
  memory_->give(slab.offset, kGranularity);
  slabs_.erase(it);
  drop(kGranularity);
}

}  // namespace loretoken::sim
