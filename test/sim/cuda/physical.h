// Physical memory of one simulated device: a memfd, a capacity, and the places that hold its bytes.
//
// The memfd is larger than the capacity (holes cost nothing), so every extent is contiguous in the file while only the
// charged bytes are limited. It is mapped twice: `shadow` for the driver itself, `arena` for plain allocations
// (PROT_NONE until an allocation is mapped). Every function needs the driver lock unless its comment says otherwise.
#ifndef LORETOKEN_SIM_PHYSICAL_H
#define LORETOKEN_SIM_PHYSICAL_H

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "reserve.h"

namespace loretoken::sim {

inline constexpr uint64_t kGranularity = 2u << 20;
inline constexpr uint64_t kSmallLimit = 1u << 20;  // larger requests get extents of their own
inline constexpr uint64_t kSmallAlign = 512;
inline constexpr uint64_t kPoolChunk = 32u << 20;  // pools and graphs reserve memory in these

inline uint64_t round_up(uint64_t value, uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

class DeviceMemory {
 public:
  // Opens the file and both mappings; false when the host refuses.
  bool open(uint64_t capacity, uint64_t seed, bool poison);

  uint64_t capacity() const { return capacity_; }
  uint64_t used() const { return used_; }
  int fd() const { return fd_; }
  char* arena() const { return arena_; }
  char* shadow() const { return shadow_; }
  uint64_t file_size() const { return file_size_; }

  // Takes a free extent; size is a multiple of kGranularity. False when the file has no such hole.
  bool take(uint64_t size, uint64_t& offset);
  // The same at the other end of the file: memory of pools never stands where a plain block was freed.
  bool take_last(uint64_t size, uint64_t& offset);
  void give(uint64_t offset, uint64_t size);

  bool charge(uint64_t bytes);
  void uncharge(uint64_t bytes);

  // Fills an extent with the seeded pattern. No lock needed; the extent must be the caller's alone. Costs one pass.
  void poison(uint64_t offset, uint64_t size) const;
  bool poisons() const { return poison_; }
  // The same for any memory.
  void fill(char* target, uint64_t size) const;

  // Access of an arena range. No lock needed; unmapping takes effect at once for every thread.
  void map(uint64_t offset, uint64_t size) const;
  void unmap(uint64_t offset, uint64_t size) const;

 private:
  uint64_t capacity_ = 0, used_ = 0, file_size_ = 0, dirty_ = 0;
  int fd_ = -1;
  bool poison_ = true;
  char* arena_ = nullptr;
  char* shadow_ = nullptr;
  std::map<uint64_t, uint64_t> holes_;
  std::vector<char> pattern_;
};

// A piece of the arena: an extent of its own, or a part of a shared slab of kGranularity bytes.
struct Block {
  uint64_t offset = 0;
  uint64_t size = 0;  // rounded
  bool large = false;
};

enum class HeapOf { kContext, kPool };

// Hands out blocks; what it holds is charged to the device. A pool's heap stays charged after a free.
class Heap {
 public:
  Heap(DeviceMemory* memory, HeapOf owner)
      : memory_(memory),
        reserve_(memory, owner == HeapOf::kPool ? kPoolChunk : kGranularity),
        owner_(owner),
        keep_freed_(owner == HeapOf::kPool) {}

  // False when the device's capacity does not allow it. The block of a large request is not mapped yet.
  bool alloc(uint64_t size, Block& block);
  void free(const Block& block);

  uint64_t held() const { return reserve_.held(); }
  uint64_t reserved() const { return reserve_.charged(); }
  // Gives reserved bytes back until at most `keep` are left (blocks in use always stay).
  void trim(uint64_t keep) { reserve_.trim(keep); }
  void keep_freed(bool keep) { keep_freed_ = keep; }

 private:
  struct Slab {
    uint64_t offset;
    uint64_t used;
    std::map<uint64_t, uint64_t> holes;  // offset in slab → size
  };
  bool take(uint64_t size, uint64_t& offset);
  void drop(uint64_t bytes);

  DeviceMemory* memory_;
  Reserve reserve_;
  HeapOf owner_;
  bool keep_freed_;
  std::map<uint64_t, Slab> slabs_;
};

}  // namespace loretoken::sim

#endif  // LORETOKEN_SIM_PHYSICAL_H
