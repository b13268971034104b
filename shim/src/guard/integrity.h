// The integrity guard of one device: counts mismatches of checksums and of decoded bytes within the policy's window,
// tells each once, and from the threshold on answers as the policy says. Below the threshold a mismatch is only counted
// and told: what was damaged then is used as it is.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>

#include "base/clock.h"
#include "guard/arbiter.h"

namespace loretoken {

class IntegrityGuard {  // any thread; takes no lock but its own and the arbiter's
 public:
  // `now`: nanoseconds, never falling.
  IntegrityGuard(int device, Arbiter& arbiter, uint64_t (*now)() = now_ns);

  // A checksum, verify or size mismatch was found: one event, whose figure is the number of mismatches in the window
  // and whose limit is the threshold. With the policy `passthrough` the threshold's mismatch votes for Mode::kOff, for
  // good; the arbiter's event of that change is the mismatch's. `what`: what was wrong, in a few words.
  void mismatch(const char* what, uint32_t unit, uint32_t bad_blocks, uint32_t blocks);

  // Whether an operation that reaches a damaged unit must return CUDA_ERROR_ECC_UNCORRECTABLE now: the threshold was
  // reached once, and the policy says `fail`.
  bool fails() const;

  // Voted for Mode::kOff: what still has to be packed is stored as it is.
  bool distrusts_codecs() const { return distrusts_.load(std::memory_order_relaxed); }

 private:
  uint64_t count(uint64_t threshold);

  const int device_;
  Arbiter& arbiter_;
  uint64_t (*const now_)();
  std::mutex mutex_;
  std::deque<uint64_t> found_;  // when, oldest first; as many as the threshold or kKept, whichever is more
  std::atomic<bool> reached_{false};
  std::atomic<bool> distrusts_{false};
};

}  // namespace loretoken
