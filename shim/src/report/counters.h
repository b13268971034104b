// Counters of this process per device: fields of loretoken_row (include/loretoken/abi.h) as atomics. They lie in the
// telemetry file when one is given, else in private memory; valid from the first instruction to the last.
//
//   counters().launches.fetch_add(1, std::memory_order_relaxed);          // device of the thread's last driver call: 0
//   counters(device).packs.fetch_add(1, std::memory_order_relaxed);
//   gauge(counters(device).raw_bytes, counters(device).raw_peak, bytes);  // sets a (now) field and its peak
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "loretoken/abi.h"

namespace loretoken {

using Counter = std::atomic<uint64_t>;
static_assert(sizeof(Counter) == sizeof(uint64_t) && Counter::is_always_lock_free);

// The counting part of loretoken_row, from `physical_total` on, field by field.
struct Counters {
  Counter physical_total, limit, virtual_size, live_bytes, live_peak, raw_bytes, raw_peak, packed_bytes, packed_peak,
      packed_logical, host_bytes, host_peak, host_logical, idle_bytes, held_bytes, held_peak, foreign_bytes;
  Counter allocations, frees, launches, slow_launches, copies, graph_launches, scans, host_scans, kernels_classed,
      pointer_kernels, edges, edges_live, false_alarms, packs, packs_refused, unpacks, spills, fetches, drops, remaps,
      wait_ns, stall_ns, evict_waits, verify_failures, checksum_failures, out_of_memory, unknown_entries, strict_unmaps;
  Counter pins[LORETOKEN_PIN_REASONS];
  Counter codec_in[LORETOKEN_CODECS];
  Counter codec_out[LORETOKEN_CODECS];
  Counter guard_events[LORETOKEN_GUARDS];
  Counter unpack_bytes, spill_bytes, fetch_bytes, penalty_permille, backoff, policy_generation, forced_packs;
};
static_assert(sizeof(Counters) == offsetof(loretoken_row, reserved) - offsetof(loretoken_row, physical_total));
static_assert(offsetof(Counters, allocations) ==
              offsetof(loretoken_row, allocations) - offsetof(loretoken_row, physical_total));
static_assert(offsetof(Counters, pins) == offsetof(loretoken_row, pins) - offsetof(loretoken_row, physical_total));

// Cost: one load. Devices beyond the table share the last row.
Counters& counters(int device = 0);

// Sets a gauge and raises its peak. For single writers or under a lock; the peak is exact either way.
inline void gauge(Counter& now, Counter& peak, uint64_t value) {
  now.store(value, std::memory_order_relaxed);
  uint64_t old = peak.load(std::memory_order_relaxed);
  while (old < value && !peak.compare_exchange_weak(old, value, std::memory_order_relaxed)) {
  }
}

}  // namespace loretoken
