#include "body.h"

#include "api.h"
#include "fault.h"
#include "module.h"

namespace loretoken::sim {

const char* body_name(const Body& body) {
  static constexpr const char* kNames[] = {"empty", "kernel", "memcpy", "memset",       "host",      "mem op",
                                           "alloc", "free",   "graph",  "event record", "event wait"};
  return kNames[body.index()];
}

const char* body_detail(const Body& body) {
  auto* kernel = std::get_if<KernelBody>(&body);
  return kernel ? kernel->function->kernel->name : nullptr;
}

void execute_host(const HostBody& body, CUresult status) {
  InHostFunction guard;
  if (body.callback) {
    body.callback(body.stream, status, body.data);
  } else {
    body.fn(body.data);
  }
}

void execute(const Body& body, const std::shared_ptr<Stream>& stream) {
  struct Visitor {
    const std::shared_ptr<Stream>& stream;
    void operator()(const EmptyBody&) const {}
    void operator()(const KernelBody& b) const { execute_kernel(b); }
    void operator()(const CopyBody& b) const { execute_copy(b); }
    void operator()(const MemsetBody& b) const { execute_memset(b); }
    void operator()(const HostBody& b) const { execute_host(b, CUDA_SUCCESS); }
    void operator()(const MemOpBody& b) const { execute_mem_op(b, stream); }
    void operator()(const AllocBody& b) const { execute_alloc(b); }
    void operator()(const FreeBody& b) const { execute_free(b); }
    void operator()(const ChildBody& b) const { execute_graph(*b.graph, stream); }
    void operator()(const EventRecordBody& b) const {
      Lock lock(state().mutex);
      auto marker = std::make_shared<Marker>();
      marker->done = true;
      marker->time_ns = now_ns();
      b.event->last = marker;
      b.event->capture.reset();
    }
    void operator()(const EventWaitBody& b) const {
      Lock lock(state().mutex);
      wait(lock, b.event->last);
    }
  };
  std::visit(Visitor{stream}, body);
}

}  // namespace loretoken::sim
