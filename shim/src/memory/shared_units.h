// Sub-allocation of medium sizes: members of one unit are made together, in order, and move together.
//
// A freed member first waits in a list of its size (sizes recur), usable at once by the stream that freed it. When
// nothing else serves, members whose fences have passed are given back to their unit, neighbours merging. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <unordered_map>

#include "memory/extents.h"
#include "memory/heap_ports.h"
#include "memory/reuse_list.h"
#include "memory/unit.h"

namespace loretoken {

inline constexpr uint64_t kMemberAlignment = 512;

class SharedUnits {
 public:
  explicit SharedUnits(HeapPorts& ports) : ports_(ports) {}

  struct Member {
    uint64_t address = 0;  // 0: none
    Unit* unit = nullptr;
  };
  // `bytes`: multiple of kMemberAlignment. Nothing fits: add_unit() first.
  Member take(uint64_t bytes, StreamSlot* slot);
  void add_unit(Unit* unit);

  // The member has no content any more but may still be in use by queued work; its address is put() later. True: the
  // unit has no live member left. A unit marked closing gives no members until opened.
  bool content_gone(Unit* unit);
  void set_closing(Unit* unit, bool closing);
  void put(uint64_t address, uint64_t bytes, const Ticket& ticket);
  void put(uint64_t address, uint64_t bytes, Fence fence);

  // Takes out units without any member, live or fenced.
  std::vector<Unit*> take_empty();
  void add_fences(Fence* fence) const;
  // Merges what has passed back into the units.
  void consolidate();

 private:
  struct Shared {
    Unit* unit = nullptr;
    Extents free;       // addresses free for everyone
    uint64_t live = 0;  // members with content
    bool closing = false;
    uint64_t indexed = 0;  // key in by_largest_
  };
  using Key = std::pair<uint64_t, uint64_t>;  // largest free range, unit base
  void reindex(Shared& shared);
  Member take_from(Shared& shared, uint64_t bytes);
  Shared* of(uint64_t address);

  HeapPorts& ports_;
  std::map<uint64_t, Shared> shared_;  // by unit base
  std::set<Key> by_largest_;
  Shared* current_ = nullptr;
  std::unordered_map<uint64_t, ReuseList<uint64_t>> freed_;  // size → addresses
  uint64_t freed_bytes_ = 0;
};

}  // namespace loretoken
