// Read-side sections: the proof that an operation which saw a unit raw has been queued before the mover goes on.
//
// enter(): one store and one full fence (~8 ns). leave(): one release store. A thread inside a section never waits for
// the mover or takes a shim lock, so the mover's grace period is bounded by the driver call inside it. That call may
// itself wait for the GPU (a full queue), and the GPU for a thread that waits for the mover: the mover's wait can be
// given up.
//
// Protocol (as in classic RCU; McKenney, "Is Parallel Programming Hard", ch. 9): the mover sets a unit's state to
// kClaimed, calls wait_for_readers(), and from then on every operation that saw the unit as kRaw is in its stream's
// queue and has set the stream's bit in Unit::stream_mask. The state and the epoch are stored and loaded by both sides
// with memory_order_seq_cst: one of them sees the other.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/function_ref.h"

namespace loretoken {

struct alignas(64) Reader {
  std::atomic<uint64_t> epoch{0};  // odd while inside a section
  std::atomic<Reader*> next{nullptr};
  std::atomic<bool> in_use{false};
};

class Section {
 public:
  Section();  // nestable: an inner section does nothing
  ~Section() { leave(); }
  void leave();
  Section(const Section&) = delete;
  Section& operator=(const Section&) = delete;

 private:
  Reader* reader_;
};

// True when every section that was open at the call has been left. Never call inside a section. While it waits it asks
// `go_on` every 50 µs; false ends the wait.
bool wait_for_readers(FunctionRef<bool()> go_on);

}  // namespace loretoken
