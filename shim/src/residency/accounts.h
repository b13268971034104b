// What the engine reports of one device: tiers in bytes, moves, pins. Callers hold the engine's mutex unless said.
#pragma once

#include <cstdint>

#include "memory/unit.h"
#include "report/counters.h"

namespace loretoken {

class Accounts {
 public:
  explicit Accounts(int device) : counters_(counters(device)) {}

  void raw_changed(int64_t delta) { change(counters_.raw_bytes, counters_.raw_peak, delta); }
  // A unit's blob of `blob_bytes` that stands for `logical` bytes became, or ceased to be, their only home.
  void packed(bool on_host, uint64_t blob_bytes, uint64_t logical, int sign) {
    const auto bytes = sign * static_cast<int64_t>(blob_bytes);
    const auto whole = sign * static_cast<int64_t>(logical);
    if (on_host) {
      change(counters_.host_bytes, counters_.host_peak, bytes);
      counters_.host_logical.fetch_add(static_cast<uint64_t>(whole), std::memory_order_relaxed);
    } else {
      change(counters_.packed_bytes, counters_.packed_peak, bytes);
      counters_.packed_logical.fetch_add(static_cast<uint64_t>(whole), std::memory_order_relaxed);
    }
  }
  void pinned(Pin reason, int delta) {  // any thread
    counters_.pins[static_cast<int>(reason)].fetch_add(static_cast<uint64_t>(static_cast<int64_t>(delta)),
                                                       std::memory_order_relaxed);
  }
  void coded(uint32_t codec, uint64_t in, uint64_t out) {
    if (codec >= LORETOKEN_CODECS) return;
    counters_.codec_in[codec].fetch_add(in, std::memory_order_relaxed);
    counters_.codec_out[codec].fetch_add(out, std::memory_order_relaxed);
  }
  static void count(Counter& counter, uint64_t by = 1) { counter.fetch_add(by, std::memory_order_relaxed); }
  Counters* operator->() { return &counters_; }

 private:
  static void change(Counter& now, Counter& peak, int64_t delta) {
    gauge(now, peak, now.load(std::memory_order_relaxed) + static_cast<uint64_t>(delta));
  }
  Counters& counters_;
};

}  // namespace loretoken
