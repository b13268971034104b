// What the heap asks of its surroundings besides Residency and Reach. Production: the streams of the process.
#pragma once

#include "streams/streams.h"

namespace loretoken {

class HeapPorts {
 public:
  virtual ~HeapPorts() = default;
  // Whether the fence's work is done; may record events, never blocks.
  virtual bool passed(const Fence& fence) = 0;
  // Blocks the host until it is. No lock is held at the call.
  virtual CUresult synchronize(const Fence& fence) = 0;
  // Tickets for the streams in `mask` that still have work.
  virtual Fence mark(int device, uint64_t mask) = 0;
  // Ticket for a stream-ordered free: everything queued so far, waits for other streams included.
  virtual Ticket mark_free(StreamSlot& slot) = 0;
  virtual CUcontext current_context() = 0;
};

HeapPorts& stream_ports();

}  // namespace loretoken
