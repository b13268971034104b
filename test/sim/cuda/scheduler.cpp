#include "scheduler.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "api.h"
#include "fault.h"

namespace loretoken::sim {

namespace {

// Beside the state, under its lock.
struct Workers {
  std::deque<std::shared_ptr<Stream>> ready;
  std::condition_variable work, done;
  size_t idle = 0;
  size_t busy = 0;  // workers inside an operation
  size_t host_waiters = 0;
};

Workers& workers() {
  static Workers* instance = new Workers;  // never destroyed: workers may outlive the exit handlers
  return *instance;
}

void worker_loop();

void make_ready(const std::shared_ptr<Stream>& stream) {
  Workers& w = workers();
  stream->running = true;
  w.ready.push_back(stream);
  if (w.idle >= w.ready.size()) {
    w.work.notify_one();
  } else {
    std::thread(worker_loop).detach();
  }
}

void complete(Marker& marker) {
  marker.done = true;
  marker.time_ns = now_ns();
  for (auto& waiter : marker.waiters) {
    if (--waiter->pending) continue;
    auto& stream = waiter->stream;
    if (!stream->running && !stream->queue.empty() && stream->queue.front() == waiter) make_ready(stream);
  }
  marker.waiters.clear();
  if (workers().host_waiters) workers().done.notify_all();
}

void run_stream(Lock& lock, const std::shared_ptr<Stream>& stream) {
  Workers& w = workers();
  while (!stream->queue.empty() && stream->queue.front()->pending == 0 && !state().exiting) {
    std::shared_ptr<Op> op = stream->queue.front();
    ++w.busy;
    lock.unlock();
    perform(op->body, stream);
    // What the body owns goes before anyone learns that the operation is done, and without the lock.
    op->body = EmptyBody{};
    lock.lock();
    --w.busy;
    stream->queue.pop_front();
    complete(*op->marker);
  }
  stream->running = false;
  if (stream->destroyed && stream->queue.empty()) stream->ctx->streams.remove(stream);
}

void worker_loop() {
  prepare_worker_thread();
  Workers& w = workers();
  Lock lock(state().mutex);
  for (;;) {
    while (w.ready.empty()) {
      ++w.idle;
      w.work.wait(lock);
      --w.idle;
    }
    auto stream = std::move(w.ready.front());
    w.ready.pop_front();
    run_stream(lock, stream);
    // The last reference may go with it; that must happen without the lock.
    lock.unlock();
    stream.reset();
    lock.lock();
  }
}

void depend(const std::shared_ptr<Op>& op, const std::shared_ptr<Marker>& marker) {
  if (!marker || marker->done) return;
  marker->waiters.push_back(op);
  ++op->pending;
}

}  // namespace

uint64_t now_ns() {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

void pause(std::mt19937_64& random) {
  const uint64_t jitter = state().jitter;
  if (!jitter) return;
  const uint64_t draw = random() % 1000;
  if (draw < jitter) {
    std::this_thread::sleep_for(std::chrono::microseconds(random() % (2 * jitter + 1)));
  } else if (draw < 6 * jitter) {
    for (uint64_t i = random() % 3; i < 3; ++i) std::this_thread::yield();
  }
}

std::shared_ptr<Marker> enqueue(Lock&, const std::shared_ptr<Stream>& stream, Body body, const Markers& also) {
  auto op = std::make_shared<Op>();
  op->stream = stream;
  op->body = std::move(body);
  op->marker = std::make_shared<Marker>();
  for (auto& marker : also) depend(op, marker);
  if (stream->legacy) {
    for (auto& other : stream->ctx->streams)
      if (other->blocking()) depend(op, other->tail);
  } else if (stream->blocking() && stream->ctx->legacy) {
    depend(op, stream->ctx->legacy->tail);
  }
  stream->tail = op->marker;
  stream->queue.push_back(op);
  if (!stream->running && stream->queue.size() == 1 && op->pending == 0) make_ready(stream);
  return op->marker;
}

void wait(Lock& lock, const std::shared_ptr<Marker>& marker) {
  if (!marker || marker->done) return;
  Workers& w = workers();
  ++w.host_waiters;
  w.done.wait(lock, [&] { return marker->done; });
  --w.host_waiters;
}

void wait(Lock& lock, const Markers& markers) {
  for (auto& marker : markers) wait(lock, marker);
}

Markers pending_of(const Context& ctx) {
  Markers markers;
  for (auto& stream : ctx.streams)
    if (stream->tail && !stream->tail->done) markers.push_back(stream->tail);
  return markers;
}

Markers pending_of_device(int device) {
  Markers markers;
  for (auto& [key, ctx] : state().contexts.all()) {
    if (ctx->device != device) continue;
    Markers more = pending_of(*ctx);
    markers.insert(markers.end(), more.begin(), more.end());
  }
  return markers;
}

std::shared_ptr<Stream> make_stream(const std::shared_ptr<Context>& ctx, unsigned flags, int priority) {
  State& s = state();
  auto stream = std::make_shared<Stream>();
  stream->ctx = ctx;
  stream->flags = flags;
  stream->priority = priority;
  stream->id = s.next_id++;
  stream->random.seed(s.seed * 1000003 + stream->id);
  ctx->streams.push_back(stream);
  return stream;
}

void stop_workers() {
  State& s = state();
  Lock lock(s.mutex);
  s.exiting = true;
  Workers& w = workers();
  for (int i = 0; i < 2000 && w.busy; ++i) {
    lock.unlock();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    lock.lock();
  }
}

}  // namespace loretoken::sim
