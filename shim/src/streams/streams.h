// Streams as the shim sees them: a slot per live (context, stream), a counter of operations queued on it, and events
// that tell how far it has come. Used to order our work behind the program's without waiting on the host.
//
// Cost on the hot path: slot_of() is one compare for the stream the thread used last, else a short lock-free probe;
// submitted() one relaxed fetch_add.
#pragma once

#include <cuda.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

namespace loretoken {

inline constexpr uint32_t kMaxStreamSlots = 64;  // more live streams share the last slot, which is fenced by a context-wide wait

struct StreamSlot {
  CUcontext context = nullptr;
  CUstream stream = nullptr;   // as to be passed to the driver; nullptr is the legacy stream
  uint8_t device = 0;
  uint32_t index = 0;          // bit in Unit::stream_mask
  bool per_thread = false;     // a per-thread default stream: only its own thread can record on it
  bool overflow = false;       // stands for all streams that found no slot
  std::atomic<uint64_t> submitted{0};  // operations queued so far
  std::atomic<uint64_t> passed{0};     // operations known to be finished
  std::atomic<bool> capturing{false};  // maintained by the capture hooks
  uint64_t mask() const { return uint64_t{1} << index; }
};

// "All work queued on slot up to operation seq".
struct Ticket {
  StreamSlot* slot = nullptr;
  uint64_t seq = 0;
};

using Fence = std::vector<Ticket>;

class Streams {
 public:
  // The slot of a stream handle in the current context. `per_thread_default`: the call came through a _ptsz/_ptds
  // variant, where nullptr means the thread's own default stream. Never fails: returns the overflow slot at worst.
  StreamSlot& slot_of(CUstream stream, bool per_thread_default = false);

  // Called after an operation was queued on the slot. Per-thread slots record their event here while `fencing` is on.
  void submitted(StreamSlot& slot);

  // Ticket for everything queued on the slot so far.
  Ticket mark(StreamSlot& slot) { return {&slot, slot.submitted.load(std::memory_order_acquire)}; }
  // Tickets for every slot in `mask`.
  Fence mark(uint64_t mask);
  // Tickets for every slot of a device.
  Fence mark_device(uint8_t device);

  // Whether the ticket's work is done. Records an event behind it if none covers it yet. Never blocks.
  bool passed(const Ticket&);
  bool passed(const Fence&);
  // Queues a wait for the ticket on `stream` (current context irrelevant). Falls back to a host wait only for slots that cannot be
  // recorded from here.
  CUresult wait(CUstream stream, const Ticket&);
  CUresult wait(CUstream stream, const Fence&);
  // Blocks the host. Never call with a lock held.
  CUresult synchronize(const Fence&);

  // Hooks report here. closing: before the real destroy; fences keep working.
  void stream_closing(CUstream stream);
  void context_closing(CUcontext context);
  void capture_began(StreamSlot&);   // call BEFORE the real begin: records the tail so that earlier work stays fenced
  void capture_ended(StreamSlot&);
  // True if the stream is being captured now (also when it joined by an event). Cost: one load while no capture is active.
  bool capturing(StreamSlot&);
  bool any_capture() const { return captures_.load(std::memory_order_acquire) != 0; }

 private:
  std::atomic<uint32_t> captures_{0};
};

Streams& streams();

// While alive, our own driver calls on this thread are exempt from stream-capture restrictions.
class RelaxedCapture {
 public:
  RelaxedCapture();
  ~RelaxedCapture();

 private:
  CUstreamCaptureMode mode_ = CU_STREAM_CAPTURE_MODE_RELAXED;
};

}  // namespace loretoken
