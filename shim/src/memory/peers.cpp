#include "memory/peers.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>

#include "driver/driver.h"
#include "memory/page_table.h"

namespace loretoken {
namespace {

constexpr int kMaskBits = 64;
// Bit per peer. The bit is set before the sweep, so a mapping made meanwhile has the entry already; setting access on a
// range that was just unmapped fails without harm.
std::array<std::atomic<uint64_t>, kMaskBits> g_peers;

CUmemAccessDesc entry(int device, CUmemAccess_flags flags) {
  CUmemAccessDesc access = {};
  access.location = {CU_MEM_LOCATION_TYPE_DEVICE, device};
  access.flags = flags;
  return access;
}

void sweep(int owner, const CUmemAccessDesc& access) {
  const uint32_t count = unit_count();
  for (uint32_t index = 1; index < count; ++index) {
    const Unit* unit = unit_by_index(index);
    if (unit == nullptr || unit->device != owner) continue;
    const UnitState state = unit->state.load(std::memory_order_acquire);
    if (state == UnitState::kUnbacked || state == UnitState::kPacked || state == UnitState::kHost) continue;
    driver().cuMemSetAccess(unit->base, unit->bytes, &access, 1);
  }
}

bool known(int owner, int peer) {
  return owner >= 0 && owner < kMaskBits && peer >= 0 && peer < kMaskBits && owner != peer;
}

}  // namespace

std::vector<CUmemAccessDesc> access_for(int ordinal) {
  std::vector<CUmemAccessDesc> list = {entry(ordinal, CU_MEM_ACCESS_FLAGS_PROT_READWRITE)};
  uint64_t peers = ordinal < kMaskBits ? g_peers[static_cast<size_t>(ordinal)].load(std::memory_order_acquire) : 0;
  for (int peer = 0; peers != 0; ++peer, peers >>= 1) {
    if ((peers & 1) != 0) list.push_back(entry(peer, CU_MEM_ACCESS_FLAGS_PROT_READWRITE));
  }
  return list;
}

void add_peer(int owner, int peer) {
  if (!known(owner, peer)) return;
  const uint64_t bit = uint64_t{1} << peer;
  if ((g_peers[static_cast<size_t>(owner)].fetch_or(bit, std::memory_order_seq_cst) & bit) != 0) return;
  sweep(owner, entry(peer, CU_MEM_ACCESS_FLAGS_PROT_READWRITE));
}

void remove_peer(int owner, int peer) {
  if (!known(owner, peer)) return;
  const uint64_t bit = uint64_t{1} << peer;
  if ((g_peers[static_cast<size_t>(owner)].fetch_and(~bit, std::memory_order_seq_cst) & bit) == 0) return;
  sweep(owner, entry(peer, CU_MEM_ACCESS_FLAGS_PROT_NONE));
}

}  // namespace loretoken
