// Threads of a block on the CPU: what a kernel can see of its scheduler.
//
// Every thread of a block is a fiber on the calling host thread (kernels registered as plain run without fibers: a
// loop over the threads). A fiber runs until it waits at a barrier or a warp collective and then continues the next
// thread that can run, directly; a switch costs about 2 ns. Warps are advanced one at a time, lanes in ascending order.
// Finished threads count as arrived everywhere, as on a GPU.
//
// Register r15 holds the running thread's context: thread-local storage of a loaded library costs a call per access.
#ifndef LORETOKEN_HOST_FIBER_H
#define LORETOKEN_HOST_FIBER_H

#include "host_module.h"
#include "host_types.h"

#if !defined(__x86_64__) || defined(__clang__)
#error "kernels for the CPU need g++ on x86-64: a global register variable and a stack switch"
#endif

namespace loretoken::host {

constexpr unsigned kWarpSize = 32;

// What all threads of a block share.
struct BlockContext {
  uint3 block_idx, block_dim, grid_dim;
  void* dynamic_shared;  // 128-byte aligned, shared_bytes long
};

struct Warp;
struct Collective;

struct ThreadContext {
  uint3 thread_idx;
  unsigned lane;
  BlockContext* block;
  Warp* warp;           // null in a plain kernel
  void* stack_pointer;  // while another thread runs
  Collective* held;     // what this thread may still be reading
};

// Valid while a kernel runs, and only in sources that include this header.
register ThreadContext* current_thread asm("r15");

// Runs `body(argument)` once per thread of every block of the launch.
void run_with_fibers(const LtHostLaunch& launch, void (*body)(void*), void* argument);
void run_plain(const LtHostLaunch& launch, void (*body)(void*), void* argument);

// __syncthreads with the three reductions over `predicate` at once.
struct BarrierVotes {
  unsigned arrived, count;  // live threads, those whose predicate held
};
BarrierVotes block_barrier(bool predicate);

// One warp collective. Valid values are those of the lanes in `arrived`; the first reader may replace them by what all
// lanes want of them (`combined`). Readable until the reading lane's next collective.
struct Collective {
  unsigned mask, arrived, unread;
  bool combined;
  uint64_t result;
  uint64_t values[kWarpSize];
};
// Hands in `value` and waits for every live lane of `mask`.
Collective& warp_exchange(unsigned mask, uint64_t value);

// The lanes of this warp that have not returned.
unsigned live_lanes();

}  // namespace loretoken::host

#define threadIdx (::loretoken::host::current_thread->thread_idx)
#define blockIdx (::loretoken::host::current_thread->block->block_idx)
#define blockDim (::loretoken::host::current_thread->block->block_dim)
#define gridDim (::loretoken::host::current_thread->block->grid_dim)
#define warpSize 32

#endif  // LORETOKEN_HOST_FIBER_H
