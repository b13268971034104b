// kSingle allocations: a row of one or more units and the cache of freed rows by total size. Not thread-safe.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "memory/heap_ports.h"
#include "memory/reuse_list.h"
#include "memory/unit.h"

namespace loretoken {

// What a row of `bytes` consists of: whole units of unit_max, then one of the size class of the rest.
std::vector<uint64_t> row_sizes(uint64_t bytes, uint64_t unit_max);
uint64_t row_bytes(const Unit* first);
// Takes addresses and makes the units (unbacked). nullptr: no addresses or units left.
Unit* make_row(uint64_t bytes, uint64_t unit_max, int device, UnitKind kind, uint64_t content_bytes);
// The row's units are unbacked: gives its addresses back.
void destroy_row(Unit* first);

class RowCache {
 public:
  explicit RowCache(HeapPorts& ports) : ports_(ports) {}

  Unit* take(uint64_t total_bytes, StreamSlot* slot);
  void put(Unit* first, const Ticket& ticket);
  void put(Unit* first, Fence fence);
  // Takes out every row whose fence has passed.
  std::vector<Unit*> take_passed();
  void add_fences(Fence* fence) const;

 private:
  HeapPorts& ports_;
  std::unordered_map<uint64_t, ReuseList<Unit*>> freed_;  // by total bytes
};

}  // namespace loretoken
