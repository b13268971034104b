// What the guardrails see of a device's residency, and what they may do to it. Called by the guard thread alone.
#pragma once

#include <cstdint>

namespace loretoken {

class Guarded {
 public:
  virtual ~Guarded() = default;

  // Nanoseconds, ever growing, that operations of the program waited for us: calls on the host for room, and streams
  // for unpacks. The latter are what the GPU took, counted when they are known to have ended.
  virtual uint64_t waited_ns() const = 0;

  // Leaves raw, under Pin::kPenalty, what cost most waiting per byte won: an eighth of the physical limit more with
  // each call, half of it at most. It is packed all the same before an operation or an allocation fails for want of
  // room.
  virtual void leave_raw() = 0;
  virtual void leave_nothing_raw() = 0;

  // Queues unpacks as far as there is room, at most an eighth of the limit per call. For mode off: called again and
  // again.
  virtual void bring_back() = 0;
};

}  // namespace loretoken
