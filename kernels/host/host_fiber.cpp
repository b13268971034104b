#include "host_fiber.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace loretoken::host {

thread_local ThreadContext current_thread;

namespace {

constexpr std::size_t kStackBytes = 128 * 1024;
constexpr std::size_t kGuardBytes = 4096;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "cuda_host: %s (block %u,%u,%u thread %u,%u,%u)\n", what, blockIdx.x, blockIdx.y, blockIdx.z,
               threadIdx.x, threadIdx.y, threadIdx.z);
  std::abort();
}

#if defined(__x86_64__)
// Saves the callee-saved registers on the current stack, stores its pointer in *from and continues on `to`.
extern "C" __attribute__((visibility("hidden"))) void lt_host_switch(void** from, void* to);
asm(R"(
.text
.hidden lt_host_switch
.globl lt_host_switch
.type lt_host_switch,@function
lt_host_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size lt_host_switch,.-lt_host_switch
)");
using Stack = void*;
#else
using Stack = ucontext_t;
#endif

enum class State : uint8_t { kReady, kAtBarrier, kInCollective, kDone };

struct Collective {
  unsigned mask = 0, arrived = 0, unread = 0;
  uint64_t values[kWarpSize];
};

// Each live lane keeps at most one snapshot; one more per lane can be filling.
constexpr unsigned kSnapshots = 2 * kWarpSize;

struct Warp {
  Collective snapshots[kSnapshots];
  uint64_t used = 0;  // bit per snapshot
  unsigned size = 0, done_mask = 0;
};

struct Fiber {
  Stack stack;
  char* memory = nullptr;
  State state = State::kDone;
  bool predicate = false;
  int held = -1;  // snapshot this lane may still be reading
};

struct Block {
  std::vector<Fiber> fibers;
  std::vector<std::unique_ptr<Warp>> warps;
  Stack scheduler;
  unsigned threads = 0, running = 0;
  bool active = false;
  void (*body)(void*) = nullptr;
  void* argument = nullptr;
  BarrierVotes votes{};
  std::vector<char> dynamic_shared;

  ~Block() {
    for (Fiber& fiber : fibers)
      if (fiber.memory) munmap(fiber.memory, kStackBytes + kGuardBytes);
  }
};

thread_local Block block;

void fiber_main();

void prepare_stack(Fiber& fiber) {
  if (!fiber.memory) {
    void* memory = mmap(nullptr, kStackBytes + kGuardBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) fail("no memory for a thread's stack");
    mprotect(memory, kGuardBytes, PROT_NONE);
    fiber.memory = static_cast<char*>(memory);
  }
#if defined(__x86_64__)
  // At entry of a function the stack pointer is 8 below a 16-byte boundary: return address slot, then 6 registers.
  void** top = reinterpret_cast<void**>(fiber.memory + kGuardBytes + kStackBytes) - 2;
  *top = reinterpret_cast<void*>(&fiber_main);
  fiber.stack = top - 6;
  std::memset(top - 6, 0, 6 * sizeof(void*));
#else
  getcontext(&fiber.stack);
  fiber.stack.uc_stack.ss_sp = fiber.memory + kGuardBytes;
  fiber.stack.uc_stack.ss_size = kStackBytes;
  fiber.stack.uc_link = nullptr;
  makecontext(&fiber.stack, fiber_main, 0);
#endif
}

void switch_stack(Stack& from, Stack& to) {
#if defined(__x86_64__)
  lt_host_switch(&from, to);
#else
  swapcontext(&from, &to);
#endif
}

void leave_fiber() {
  switch_stack(block.fibers[block.running].stack, block.scheduler);
}

void fiber_main() {
  block.body(block.argument);
  Fiber& fiber = block.fibers[block.running];
  fiber.state = State::kDone;
  block.warps[block.running / kWarpSize]->done_mask |= 1u << (block.running % kWarpSize);
  leave_fiber();
  __builtin_unreachable();
}

void set_thread(unsigned index) {
  const uint3& dim = current_thread.block_dim;
  current_thread.thread_idx = {index % dim.x, index / dim.x % dim.y, index / dim.x / dim.y};
  current_thread.lane = index % kWarpSize;
}

void enter_fiber(unsigned index) {
  block.running = index;
  set_thread(index);
  switch_stack(block.scheduler, block.fibers[index].stack);
}

bool collective_complete(const Warp& warp, const Collective& c) {
  return !(c.mask & ~(c.arrived | warp.done_mask));
}

// Runs the warp's lanes until each is done or at the block barrier.
void advance_warp(unsigned first, Warp& warp) {
  for (bool progress = true; progress;) {
    progress = false;
    bool blocked = false;
    for (unsigned lane = 0; lane < warp.size; ++lane) {
      Fiber& fiber = block.fibers[first + lane];
      if (fiber.state == State::kDone || fiber.state == State::kAtBarrier) continue;
      if (fiber.state == State::kInCollective && !collective_complete(warp, warp.snapshots[fiber.held])) {
        blocked = true;
        continue;
      }
      fiber.state = State::kReady;
      enter_fiber(first + lane);
      progress = true;
    }
    if (!progress && blocked) fail("a warp collective waits for lanes that never arrive");
  }
}

// Opens the block barrier when every live thread waits at it; returns whether any thread is left to run.
bool open_barrier() {
  BarrierVotes votes{0, true, false};
  bool alive = false;
  for (unsigned i = 0; i < block.threads; ++i) {
    Fiber& fiber = block.fibers[i];
    if (fiber.state == State::kDone) continue;
    alive = true;
    votes.count += fiber.predicate;
    votes.all &= fiber.predicate;
    votes.any |= fiber.predicate;
    fiber.state = State::kReady;
  }
  block.votes = votes;
  return alive;
}

void run_block() {
  for (unsigned i = 0; i < block.threads; ++i) {
    Fiber& fiber = block.fibers[i];
    prepare_stack(fiber);
    fiber.state = State::kReady;
    fiber.held = -1;
  }
  const unsigned warps = (block.threads + kWarpSize - 1) / kWarpSize;
  for (unsigned w = 0; w < warps; ++w) {
    Warp& warp = *block.warps[w];
    warp.size = block.threads - w * kWarpSize < kWarpSize ? block.threads - w * kWarpSize : kWarpSize;
    warp.done_mask = warp.size == kWarpSize ? 0 : ~0u << warp.size;
    warp.used = 0;
  }
  do {
    for (unsigned w = 0; w < warps; ++w) advance_warp(w * kWarpSize, *block.warps[w]);
  } while (open_barrier());
}

template <class Step>
void for_each_block(const LtHostLaunch& launch, Step&& step) {
  const LtHostDim3 grid = launch.grid, dim = launch.block;
  const ThreadContext outer = current_thread;
  if (block.dynamic_shared.size() < launch.shared_bytes + 128) block.dynamic_shared.resize(launch.shared_bytes + 128);
  const auto base = reinterpret_cast<std::uintptr_t>(block.dynamic_shared.data());
  current_thread.dynamic_shared = reinterpret_cast<void*>((base + 127) & ~std::uintptr_t{127});
  current_thread.block_dim = {dim.x, dim.y, dim.z};
  current_thread.grid_dim = {grid.x, grid.y, grid.z};
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = 0; x < grid.x; ++x) {
        current_thread.block_idx = {x, y, z};
        step();
      }
  current_thread = outer;
}

}  // namespace

void run_with_fibers(const LtHostLaunch& launch, void (*body)(void*), void* argument) {
  block.threads = launch.block.x * launch.block.y * launch.block.z;
  if (block.fibers.size() < block.threads) block.fibers.resize(block.threads);
  while (block.warps.size() * kWarpSize < block.threads) block.warps.push_back(std::make_unique<Warp>());
  block.body = body;
  block.argument = argument;
  block.active = true;
  for_each_block(launch, run_block);
  block.active = false;
}

void run_plain(const LtHostLaunch& launch, void (*body)(void*), void* argument) {
  const unsigned threads = launch.block.x * launch.block.y * launch.block.z;
  for_each_block(launch, [&] {
    for (unsigned i = 0; i < threads; ++i) {
      set_thread(i);
      body(argument);
    }
  });
}

BarrierVotes block_barrier(bool predicate) {
  if (!block.active) fail("barrier in a kernel registered as plain");
  Fiber& fiber = block.fibers[block.running];
  fiber.predicate = predicate;
  fiber.state = State::kAtBarrier;
  leave_fiber();
  return block.votes;
}

WarpSnapshot warp_exchange(unsigned mask, uint64_t value) {
  if (!block.active) fail("warp collective in a kernel registered as plain");
  Warp& warp = *block.warps[block.running / kWarpSize];
  Fiber& fiber = block.fibers[block.running];
  const unsigned bit = 1u << current_thread.lane;
  if (!(mask & bit)) fail("a lane calls a collective whose mask leaves it out");
  if (fiber.held >= 0 && !(warp.snapshots[fiber.held].unread &= ~bit)) warp.used &= ~(1ull << fiber.held);

  int slot = -1;
  for (uint64_t left = warp.used; left && slot < 0; left &= left - 1) {
    const Collective& c = warp.snapshots[__builtin_ctzll(left)];
    if (c.mask == mask && !(c.arrived & bit) && !collective_complete(warp, c)) slot = __builtin_ctzll(left);
  }
  if (slot < 0) {
    slot = __builtin_ctzll(~warp.used);
    warp.used |= 1ull << slot;
    warp.snapshots[slot].mask = mask;
    warp.snapshots[slot].arrived = warp.snapshots[slot].unread = 0;
  }
  Collective& c = warp.snapshots[slot];
  c.values[current_thread.lane] = value;
  c.arrived |= bit;
  c.unread |= bit;
  fiber.held = slot;
  if (!collective_complete(warp, c)) {
    fiber.state = State::kInCollective;
    leave_fiber();
  }
  return {c.values, c.arrived};
}

unsigned live_lanes() {
  return block.active ? ~block.warps[block.running / kWarpSize]->done_mask : ~0u;
}

}  // namespace loretoken::host
