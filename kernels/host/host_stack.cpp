#include "host_stack.h"

#include <sys/mman.h>

#include <cstring>

namespace loretoken::host {
namespace {

constexpr unsigned kStacks = 32;
constexpr std::size_t kGuardBytes = 4096;
constexpr std::size_t kStackBytes = 128 * 1024;
constexpr std::size_t kStride = kGuardBytes + kStackBytes;
// Stacks start at different cache lines of a page: what every lane touches would else fall into the same few sets.
constexpr std::size_t kStagger = 128;

}  // namespace

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

.hidden lt_host_call
.globl lt_host_call
.type lt_host_call,@function
lt_host_call:
  pushq %r15
  movq %rdi, %r15
  movq %rdx, %rdi
  call *%rsi
  popq %r15
  ret
.size lt_host_call,.-lt_host_call
)");

WarpStacks::WarpStacks() {
  void* memory = mmap(nullptr, kStacks * kStride, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED) return;
  memory_ = static_cast<char*>(memory);
  for (unsigned lane = 0; lane < kStacks; ++lane) mprotect(memory_ + lane * kStride, kGuardBytes, PROT_NONE);
}

WarpStacks::~WarpStacks() {
  if (memory_) munmap(memory_, kStacks * kStride);
}

void* WarpStacks::prepare(unsigned lane, void (*entry)(), void* context) const {
  // At entry of a function the stack pointer is 8 below a 16-byte boundary: return address slot, then 6 registers.
  void** top = reinterpret_cast<void**>(memory_ + (lane + 1) * kStride - lane * kStagger) - 2;
  *top = reinterpret_cast<void*>(entry);
  std::memset(top - 6, 0, 6 * sizeof(void*));
  top[-6] = context;  // r15 is popped first
  return top - 6;
}

}  // namespace loretoken::host
