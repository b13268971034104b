// Streams as queues, workers as threads.
//
// A stream's head runs when everything it waits for is done. Streams that are ready are given to idle workers; there
// are always as many workers as ready streams, so an operation that blocks (host function, wait value) never blocks
// another stream. Hot path: one lock to queue, one to finish an operation; a worker stays with a stream while it has
// ready work.
#ifndef LORETOKEN_SIM_SCHEDULER_H
#define LORETOKEN_SIM_SCHEDULER_H

#include "state.h"

namespace loretoken::sim {

struct Op {
  std::shared_ptr<Stream> stream;
  Body body;
  std::shared_ptr<Marker> marker;
  int pending = 0;  // markers not done yet
};

using Markers = std::vector<std::shared_ptr<Marker>>;

// Queues a body behind the stream's earlier work, with the implicit order of the legacy stream, and behind `also`.
std::shared_ptr<Marker> enqueue(Lock& lock, const std::shared_ptr<Stream>& stream, Body body, const Markers& also = {});

// Blocks the calling thread; the lock is released meanwhile.
void wait(Lock& lock, const std::shared_ptr<Marker>& marker);
void wait(Lock& lock, const Markers& markers);

// Tails of work that is still running.
Markers pending_of(const Context& ctx);
Markers pending_of_device(int device);

// Puts a stream (a new one) into its context.
std::shared_ptr<Stream> make_stream(const std::shared_ptr<Context>& ctx, unsigned flags, int priority);

uint64_t now_ns();
// A short random pause, scaled by the jitter setting.
void pause(std::mt19937_64& random);

// Called from the exit handler: no operation starts any more; waits up to two seconds for running ones.
void stop_workers();

}  // namespace loretoken::sim

#endif  // LORETOKEN_SIM_SCHEDULER_H
