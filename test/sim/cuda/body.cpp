#include "body.h"

#include <cstdio>

#include "api.h"
#include "fault.h"
#include "graph.h"
#include "inject.h"
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

namespace {

struct Work {
  const Body* body;
  const std::shared_ptr<Stream>* stream;
};

// What may fault. Frames are left by a jump then, so nothing here may own memory across the touch.
void run_work(void* data) {
  const Work& work = *static_cast<Work*>(data);
  struct Visitor {
    const std::shared_ptr<Stream>& stream;
    void operator()(const KernelBody& b) const { execute_kernel(b); }
    void operator()(const CopyBody& b) const { execute_copy(b); }
    void operator()(const MemsetBody& b) const { execute_memset(b); }
    void operator()(const MemOpBody& b) const { execute_mem_op(b, stream); }
    void operator()(const AllocBody& b) const { execute_alloc(b); }
    void operator()(const FreeBody& b) const { execute_free(b); }
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
      wait(lock, std::shared_ptr<Marker>(b.event->last));
    }
    void operator()(const EmptyBody&) const {}
    void operator()(const HostBody&) const {}
    void operator()(const ChildBody&) const {}
  };
  std::visit(Visitor{*work.stream}, *work.body);
}

CUresult sticky_of(const Stream& stream) {
  Lock lock(state().mutex);
  return stream.ctx->sticky;
}

void report_fault(const Stream& stream, const char* work, uintptr_t address) {
  Lock lock(state().mutex);
  Context& ctx = *stream.ctx;
  if (ctx.sticky == CUDA_SUCCESS) ctx.sticky = CUDA_ERROR_ILLEGAL_ADDRESS;
  std::fprintf(stderr, "loretoken-sim: illegal address 0x%lx in %s on device %d\n", static_cast<unsigned long>(address),
               work, ctx.device);
}

}  // namespace

void perform(const Body& body, const std::shared_ptr<Stream>& stream) {
  const CUresult sticky = sticky_of(*stream);
  if (auto* child = std::get_if<ChildBody>(&body)) {
    // Branches run in a random order that the dependencies allow: a missing edge shows under some seed.
    for (Node* node : ordered_nodes(*child->graph, &stream->random))
      if (node->enabled) perform(node->body, stream);
    return;
  }
  if (std::holds_alternative<EmptyBody>(body)) return;
  auto* host = std::get_if<HostBody>(&body);
  if (sticky != CUDA_SUCCESS && !(host && host->callback)) return;
  pause(stream->random);
  const char* detail = body_detail(body);
  inject::before_op(body_name(body), detail);
  if (host) {
    execute_host(*host, sticky);
    return;
  }
  Work work{&body, &stream};
  uintptr_t address = 0;
  if (!run_guarded(run_work, &work, address)) report_fault(*stream, detail ? detail : body_name(body), address);
}

}  // namespace loretoken::sim
