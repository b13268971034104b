#include "memory/heap_ports.h"

#include "driver/driver.h"

namespace loretoken {
namespace {

class StreamPorts final : public HeapPorts {
 public:
  bool passed(const Fence& fence) override { return streams().passed(fence); }
  CUresult synchronize(const Fence& fence) override { return streams().synchronize(fence); }
  Fence mark(int device, uint64_t mask) override { return streams().mark(static_cast<uint8_t>(device), mask); }
  Ticket mark_free(StreamSlot& slot) override {
    // A wait for another stream is no counted operation. Counting the free makes the ticket's event lie behind it.
    streams().submitted(slot);
    return streams().mark(slot);
  }
  CUcontext current_context() override {
    CUcontext context = nullptr;
    driver().cuCtxGetCurrent(&context);
    return context;
  }
};

}  // namespace

HeapPorts& stream_ports() {
  static auto* ports = new StreamPorts;
  return *ports;
}

}  // namespace loretoken
