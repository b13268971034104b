// Streams as the shim sees them: a slot per live (context, stream), a counter of operations queued on it, and events
// that tell how far it has come. Used to order our work behind the program's without waiting on the host.
//
// Cost on the hot path: slot_of() is one compare for the stream the thread used last, else a locked look-up;
// submitted() one fetch_add.
#pragma once

#include <cuda.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace loretoken {

inline constexpr uint32_t kStreamBits = 64;  // Unit::stream_mask; streams beyond 63 share the last bit

struct StreamSlot {
  CUcontext context = nullptr;
  CUstream stream = nullptr;  // as to be passed to the driver; nullptr is the legacy stream
  uint8_t device = 0;
  uint32_t index = 0;                  // bit in Unit::stream_mask
  bool per_thread = false;             // a per-thread default stream: only its own thread can record on it
  std::atomic<uint64_t> submitted{0};  // operations queued so far
  std::atomic<uint64_t> passed{0};     // operations known to be finished
  std::atomic<bool> open{true};        // false once the stream was destroyed
  uint64_t mask() const { return uint64_t{1} << index; }

 private:
  friend class Streams;
  struct Mark {
    CUevent event;
    uint64_t seq;
  };
  std::mutex mutex_;        // guards marks_; held across cuEventRecord/Query, never across a wait
  std::deque<Mark> marks_;  // oldest first, seq ascending
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
  // variant, where nullptr means the thread's own default stream. Never fails: without a current context it returns a
  // slot that is always passed.
  StreamSlot& slot_of(CUstream stream, bool per_thread_default = false);

  // Called after an operation was queued on the slot. Per-thread slots record their event here once fencing began.
  void submitted(StreamSlot& slot);

  // Ticket for everything queued on the slot so far.
  Ticket mark(StreamSlot& slot) const { return {&slot, slot.submitted.load(std::memory_order_acquire)}; }
  // Tickets for every slot in `mask` of the device.
  Fence mark(uint8_t device, uint64_t mask) const;
  // Tickets for every slot of a device.
  Fence mark_device(uint8_t device) const { return mark(device, ~uint64_t{0}); }

  // Whether the ticket's work is done. Records an event behind it if none covers it yet. Never blocks.
  bool passed(const Ticket&);
  bool passed(const Fence&);
  // Whether asking passed() again can tell; not so for a thread's own stream whose work was queued before fencing
  // began.
  bool covered(const Fence&);
  // Blocks the host. Never call with a lock held or inside a section.
  CUresult synchronize(const Fence&);

  // Hooks report here.
  void stream_closing(CUstream stream);     // before the real destroy; fences keep working
  void context_closing(CUcontext context);  // its work is over with it
  void capture_began(StreamSlot&);  // BEFORE the real begin: records all tails so that earlier work stays fenced
  void capture_ended();             // after the real end, whatever its result
  // True if the stream is being captured now (also when it joined by an event). One load while no capture is active.
  bool capturing(const StreamSlot&) const;
  bool any_capture() const { return captures_.load(std::memory_order_acquire) != 0; }

 private:
  struct Key {
    CUcontext context;
    CUstream stream;
    uint64_t thread;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    size_t operator()(const Key&) const;
  };
  StreamSlot& find_or_open(const Key& key, bool per_thread);
  bool poll(StreamSlot&, uint64_t seq);   // slot.mutex_ held
  bool cover(StreamSlot&, uint64_t seq);  // slot.mutex_ held; false: cannot be recorded from here
  bool captured_with_legacy(CUcontext context);

  mutable std::mutex mutex_;                        // guards slots_, by_key_, free_bits_
  std::vector<std::unique_ptr<StreamSlot>> slots_;  // never freed: tickets point at them
  std::unordered_map<Key, StreamSlot*, KeyHash> by_key_;
  uint64_t used_bits_ = 0;
  std::atomic<uint64_t> generation_{1};  // bumped when a slot closes: thread caches look up anew
  std::mutex legacy_mutex_;              // held while a capture is announced and while the legacy stream is recorded
  std::atomic<uint32_t> captures_{0};
  std::atomic<bool> fencing_{false};
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

// Sets device memory in the current context and waits for it. The driver's own set only queues, on a stream that ours
// do not wait for.
CUresult set_now(CUdeviceptr at, unsigned char value, uint64_t bytes);

// Makes a context current for a scope.
class ContextScope {
 public:
  explicit ContextScope(CUcontext context);
  ~ContextScope();

 private:
  bool pushed_ = false;
};

}  // namespace loretoken
