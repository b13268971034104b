#include "host_fiber.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "host_stack.h"

namespace loretoken::host {

// Each live lane keeps at most one collective; one more per lane can be filling.
constexpr unsigned kCollectives = 2 * kWarpSize;

struct Warp {
  unsigned ready = 0, at_barrier = 0, done = 0;  // bit per lane; a lane in none of them waits in a collective
  unsigned size = 0;
  uint64_t used = 0, open = 0;  // bit per collective: held by someone, waits for lanes
  unsigned index = 0;
  ThreadContext threads[kWarpSize];
  Collective collectives[kCollectives];
  WarpStacks stacks;
};

namespace {

struct Block : BlockContext {
  std::vector<std::unique_ptr<Warp>> warps;
  unsigned warp_count = 0;  // of this launch
  BarrierVotes waiting{}, votes{};
  void* scheduler = nullptr;
  void (*body)(void*) = nullptr;
  void* argument = nullptr;
  std::vector<char> shared_memory;
  bool interrupted = false;  // a fault took the last launch away in the middle: stacks are not at their start
};

// Looked up once per launch.
thread_local Block thread_block;

Block& block_of(const ThreadContext& thread) {
  return static_cast<Block&>(*thread.block);
}

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "cuda_host: %s (block %u,%u,%u thread %u,%u,%u)\n", what, blockIdx.x, blockIdx.y, blockIdx.z,
               threadIdx.x, threadIdx.y, threadIdx.z);
  std::abort();
}

bool complete(const Warp& warp, const Collective& c) {
  return !(c.mask & ~(c.arrived | warp.done));
}

// The thread will not read the collective it holds any more; the last one to say so frees it.
void let_go(Warp& warp, ThreadContext& self) {
  if (self.held && !(self.held->unread &= ~(1u << self.lane))) warp.used &= ~(1ull << (self.held - warp.collectives));
  self.held = nullptr;
}

void release(Warp& warp, unsigned slot) {
  Collective& c = warp.collectives[slot];
  warp.open &= ~(1ull << slot);
  c.unread = c.arrived & ~warp.done;
  warp.ready |= c.arrived & ~warp.done;
}

// The next warp with a lane to run, after the barrier has opened if all wait at it; null when every thread is done.
Warp* next_warp(Block& block, const Warp& from) {
  if (~(from.at_barrier | from.done)) fail("a warp collective waits for lanes that never arrive");
  for (unsigned w = from.index + 1; w < block.warp_count; ++w)
    if (block.warps[w]->ready) return block.warps[w].get();
  if (!block.waiting.arrived) return nullptr;
  block.votes = block.waiting;
  block.waiting = {};
  Warp* first = nullptr;
  for (unsigned w = block.warp_count; w-- != 0;) {
    Warp& warp = *block.warps[w];
    warp.ready = warp.at_barrier;
    warp.at_barrier = 0;
    if (warp.ready) first = &warp;
  }
  return first;
}

// Most of a switch is waiting for the other stack's memory; the one after the next is fetched meanwhile.
__attribute__((always_inline)) inline void fetch_ahead(const Block& block, const Warp& warp) {
  const unsigned later = warp.ready & (warp.ready - 1);
  const ThreadContext* thread = &warp.threads[0];
  if (later)
    thread = &warp.threads[__builtin_ctz(later)];
  else if (warp.index + 1 < block.warp_count)
    thread = &block.warps[warp.index + 1]->threads[0];
  const char* stack = static_cast<const char*>(thread->stack_pointer);
  for (int line = 0; line < 4; ++line) __builtin_prefetch(stack + 64 * line, 1);
}

// Continues the next thread of the block, or the scheduler when all are done; returns when this one may go on.
__attribute__((always_inline)) inline void leave(ThreadContext& self) {
  Block& block = block_of(self);
  Warp* warp = self.warp->ready ? self.warp : next_warp(block, *self.warp);
  if (!warp) return lt_host_switch(&self.stack_pointer, block.scheduler);
  ThreadContext& next = warp->threads[__builtin_ctz(warp->ready)];
  fetch_ahead(block, *warp);
  if (&next != &self) lt_host_switch(&self.stack_pointer, next.stack_pointer);
}

// A fiber lives on from block to block and from launch to launch.
void fiber_main() {
  for (;;) {
    ThreadContext& self = *current_thread;
    Block& block = block_of(self);
    block.body(block.argument);
    Warp& warp = *self.warp;
    let_go(warp, self);
    warp.ready &= ~(1u << self.lane);
    warp.done |= 1u << self.lane;
    for (uint64_t left = warp.open; left; left &= left - 1) {
      const auto slot = static_cast<unsigned>(__builtin_ctzll(left));
      if (complete(warp, warp.collectives[slot])) release(warp, slot);
    }
    leave(self);
  }
}

void prepare_stacks(Warp& warp) {
  for (unsigned lane = 0; lane < kWarpSize; ++lane) {
    ThreadContext& thread = warp.threads[lane];
    thread.held = nullptr;
    thread.stack_pointer = warp.stacks.prepare(lane, fiber_main, &thread);
  }
}

Warp& add_warp(Block& block) {
  auto warp = std::make_unique<Warp>();
  if (!warp->stacks) {
    std::fprintf(stderr, "cuda_host: no memory for the stacks of a block's threads\n");
    std::abort();
  }
  warp->index = static_cast<unsigned>(block.warps.size());
  for (unsigned lane = 0; lane < kWarpSize; ++lane) {
    warp->threads[lane].lane = lane;
    warp->threads[lane].block = &block;
    warp->threads[lane].warp = warp.get();
  }
  prepare_stacks(*warp);
  block.warps.push_back(std::move(warp));
  return *block.warps.back();
}

// Steps to the next thread of a block, x fastest.
void advance(uint3& index, const uint3& dim) {
  if (++index.x < dim.x) return;
  index.x = 0;
  if (++index.y < dim.y) return;
  index.y = 0;
  ++index.z;
}

void prepare_threads(Block& block, unsigned threads) {
  block.warp_count = (threads + kWarpSize - 1) / kWarpSize;
  while (block.warps.size() < block.warp_count) add_warp(block);
  uint3 index = {0, 0, 0};
  for (unsigned i = 0; i < threads; ++i, advance(index, block.block_dim))
    block.warps[i / kWarpSize]->threads[i % kWarpSize].thread_idx = index;
  for (unsigned w = 0; w < block.warp_count; ++w) {
    const unsigned rest = threads - w * kWarpSize;
    block.warps[w]->size = rest < kWarpSize ? rest : kWarpSize;
  }
}

void run_block(Block& block) {
  for (unsigned w = 0; w < block.warp_count; ++w) {
    Warp& warp = *block.warps[w];
    warp.ready = warp.size == kWarpSize ? ~0u : (1u << warp.size) - 1;
    warp.done = ~warp.ready;
    warp.at_barrier = 0;
    warp.used = warp.open = 0;
  }
  lt_host_switch(&block.scheduler, block.warps[0]->threads[0].stack_pointer);
}

template <class Step>
void for_each_block(Block& block, const LtHostLaunch& launch, Step&& step) {
  const LtHostDim3 grid = launch.grid;
  if (block.shared_memory.size() < launch.shared_bytes + 128) block.shared_memory.resize(launch.shared_bytes + 128);
  const auto base = reinterpret_cast<std::uintptr_t>(block.shared_memory.data());
  block.dynamic_shared = reinterpret_cast<void*>((base + 127) & ~std::uintptr_t{127});
  block.grid_dim = {grid.x, grid.y, grid.z};
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = 0; x < grid.x; ++x) {
        block.block_idx = {x, y, z};
        step();
      }
}

}  // namespace

void run_with_fibers(const LtHostLaunch& launch, void (*body)(void*), void* argument) {
  Block& block = thread_block;
  const LtHostDim3 dim = launch.block;
  block.block_dim = {dim.x, dim.y, dim.z};
  prepare_threads(block, dim.x * dim.y * dim.z);
  if (block.interrupted)
    for (const auto& warp : block.warps) prepare_stacks(*warp);
  block.waiting = {};
  block.body = body;
  block.argument = argument;
  block.interrupted = true;
  for_each_block(block, launch, [&] { run_block(block); });
  block.interrupted = false;
}

void run_plain(const LtHostLaunch& launch, void (*body)(void*), void* argument) {
  Block& block = thread_block;
  const LtHostDim3 dim = launch.block;
  block.block_dim = {dim.x, dim.y, dim.z};
  const unsigned threads = dim.x * dim.y * dim.z;
  ThreadContext thread{};
  thread.block = &block;
  for_each_block(block, launch, [&] {
    thread.thread_idx = {0, 0, 0};
    for (unsigned i = 0; i < threads; ++i, advance(thread.thread_idx, block.block_dim)) {
      thread.lane = i % kWarpSize;
      lt_host_call(&thread, body, argument);
    }
  });
}

BarrierVotes block_barrier(bool predicate) {
  ThreadContext& self = *current_thread;
  if (!self.warp) fail("barrier in a kernel registered as plain");
  Block& block = block_of(self);
  const unsigned bit = 1u << self.lane;
  self.warp->ready &= ~bit;
  self.warp->at_barrier |= bit;
  ++block.waiting.arrived;
  block.waiting.count += predicate;
  leave(self);
  return block.votes;
}

Collective& warp_exchange(unsigned mask, uint64_t value) {
  ThreadContext& self = *current_thread;
  if (!self.warp) fail("warp collective in a kernel registered as plain");
  Warp& warp = *self.warp;
  const unsigned bit = 1u << self.lane;
  if (!(mask & bit)) fail("a lane calls a collective whose mask leaves it out");
  let_go(warp, self);

  uint64_t left = warp.open;
  unsigned slot = 0;
  for (; left; left &= left - 1) {
    slot = static_cast<unsigned>(__builtin_ctzll(left));
    const Collective& c = warp.collectives[slot];
    if (c.mask == mask && !(c.arrived & bit)) break;
  }
  Collective* c = &warp.collectives[slot];
  if (!left) {
    slot = static_cast<unsigned>(__builtin_ctzll(~warp.used));
    warp.used |= 1ull << slot;
    warp.open |= 1ull << slot;
    c = &warp.collectives[slot];
    c->mask = mask;
    c->arrived = 0;
    c->combined = false;
  }
  c->values[self.lane] = value;
  c->arrived |= bit;
  self.held = c;
  if (complete(warp, *c))
    release(warp, slot);
  else
    warp.ready &= ~bit;
  leave(self);  // the last one, too: lanes go on in ascending order
  return *c;
}

unsigned live_lanes() {
  return current_thread->warp ? ~current_thread->warp->done : ~0u;
}

}  // namespace loretoken::host
