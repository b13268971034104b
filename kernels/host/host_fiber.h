// Threads of a block on the CPU: what a kernel can see of its scheduler.
//
// Every thread of a block is a fiber on the calling host thread (kernels registered as plain run without fibers: a
// loop over the threads). A fiber runs until it waits at a barrier or a warp collective; a switch costs about 5 ns.
// Warps are advanced one at a time, lanes in ascending order. Finished threads count as arrived everywhere, as on a
// GPU.
#ifndef LORETOKEN_HOST_FIBER_H
#define LORETOKEN_HOST_FIBER_H

#include "host_module.h"
#include "host_types.h"

namespace loretoken::host {

constexpr unsigned kWarpSize = 32;

struct ThreadContext {
  uint3 thread_idx, block_idx;
  uint3 block_dim, grid_dim;
  unsigned lane;
  void* dynamic_shared;  // 128-byte aligned, shared_bytes long
};

extern thread_local ThreadContext current_thread;

// Runs `body(argument)` once per thread of every block of the launch.
void run_with_fibers(const LtHostLaunch& launch, void (*body)(void*), void* argument);
void run_plain(const LtHostLaunch& launch, void (*body)(void*), void* argument);

// __syncthreads with the three reductions over `predicate` at once.
struct BarrierVotes {
  int count;
  bool all, any;
};
BarrierVotes block_barrier(bool predicate);

// One warp collective: hands in `value`, waits for every live lane of `mask`, then returns the values of all lanes.
// `arrived` holds the lanes whose values are valid. The snapshot stays readable until this lane's next collective.
struct WarpSnapshot {
  const uint64_t* values;  // 32 entries
  unsigned arrived;
};
WarpSnapshot warp_exchange(unsigned mask, uint64_t value);

// The lanes of this warp that have not returned.
unsigned live_lanes();

}  // namespace loretoken::host

#define threadIdx (::loretoken::host::current_thread.thread_idx)
#define blockIdx (::loretoken::host::current_thread.block_idx)
#define blockDim (::loretoken::host::current_thread.block_dim)
#define gridDim (::loretoken::host::current_thread.grid_dim)
#define warpSize 32

#endif  // LORETOKEN_HOST_FIBER_H
