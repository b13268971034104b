#include "loader/unknown.h"

#include <errno.h>
#include <stdio.h>

#include <atomic>
#include <mutex>

#include "base/depth.h"
#include "base/log.h"
#include "runtime/runtime.h"

namespace loretoken::loader {
namespace {

constexpr int kGates = 64;  // as many as the assembly below makes

struct Gate {
  std::atomic<void*> real{nullptr};
  std::atomic<bool> passed{false};
  char symbol[80] = {};
  int version = 0;
};
Gate g_gates[kGates];
std::mutex g_mutex;  // guards taking a gate

}  // namespace

// Cost after the first call: two loads.
extern "C" __attribute__((visibility("hidden"), used)) void* loretoken_pass_gate(uint64_t index) {
  Gate& gate = g_gates[index];
  if (!gate.passed.load(std::memory_order_acquire) && !gate.passed.exchange(true, std::memory_order_acq_rel)) {
    const int saved = errno;
    InShim guard;
    try {
      log_warn("%s for CUDA %d.%d is newer than this libloretoken.so: nothing is packed from here on", gate.symbol,
               gate.version / 1000, gate.version % 1000 / 10);
      char cause[sizeof gate.symbol + 32];
      snprintf(cause, sizeof cause, "unknown entry point %s", gate.symbol);
      Runtime::forbid_packing(cause);
    } catch (...) {
      log_error("packing could not be stopped before a call of %s", gate.symbol);
    }
    errno = saved;
  }
  return gate.real.load(std::memory_order_acquire);
}

#if defined(__x86_64__)
__asm__(
    ".pushsection .text\n\t.p2align 4\n"
    "loretoken_gates:\n\t"
    ".set loretoken_gate_number, 0\n\t"
    ".rept 64\n\t"
    ".p2align 4\n\t"
    "endbr64\n\t"
    "pushq $loretoken_gate_number\n\t"
    "jmp loretoken_gate_common\n\t"
    ".set loretoken_gate_number, loretoken_gate_number + 1\n\t"
    ".endr\n\t"
    ".p2align 4\n"
    "loretoken_gate_common:\n\t"
    "pushq %rdi\n\tpushq %rsi\n\tpushq %rdx\n\tpushq %rcx\n\tpushq %r8\n\tpushq %r9\n\t"
    "subq $128, %rsp\n\t"
    "movups %xmm0, (%rsp)\n\tmovups %xmm1, 16(%rsp)\n\tmovups %xmm2, 32(%rsp)\n\tmovups %xmm3, 48(%rsp)\n\t"
    "movups %xmm4, 64(%rsp)\n\tmovups %xmm5, 80(%rsp)\n\tmovups %xmm6, 96(%rsp)\n\tmovups %xmm7, 112(%rsp)\n\t"
    "movq 176(%rsp), %rdi\n\t"
    "call loretoken_pass_gate\n\t"
    "movq %rax, %r11\n\t"
    "movups (%rsp), %xmm0\n\tmovups 16(%rsp), %xmm1\n\tmovups 32(%rsp), %xmm2\n\tmovups 48(%rsp), %xmm3\n\t"
    "movups 64(%rsp), %xmm4\n\tmovups 80(%rsp), %xmm5\n\tmovups 96(%rsp), %xmm6\n\tmovups 112(%rsp), %xmm7\n\t"
    "addq $128, %rsp\n\t"
    "popq %r9\n\tpopq %r8\n\tpopq %rcx\n\tpopq %rdx\n\tpopq %rsi\n\tpopq %rdi\n\t"
    "leaq 8(%rsp), %rsp\n\t"
    "jmp *%r11\n\t"
    ".popsection\n");
#elif defined(__aarch64__)
__asm__(
    ".pushsection .text\n\t.p2align 4\n"
    "loretoken_gates:\n\t"
    ".set loretoken_gate_number, 0\n\t"
    ".rept 64\n\t"
    ".p2align 4\n\t"
    "hint #34\n\t"
    "mov x16, #loretoken_gate_number\n\t"
    "b loretoken_gate_common\n\t"
    ".set loretoken_gate_number, loretoken_gate_number + 1\n\t"
    ".endr\n\t"
    ".p2align 4\n"
    "loretoken_gate_common:\n\t"
    "stp x29, x30, [sp, #-224]!\n\t"
    "mov x29, sp\n\t"
    "stp x0, x1, [sp, #16]\n\tstp x2, x3, [sp, #32]\n\tstp x4, x5, [sp, #48]\n\tstp x6, x7, [sp, #64]\n\t"
    "str x8, [sp, #80]\n\t"
    "stp q0, q1, [sp, #96]\n\tstp q2, q3, [sp, #128]\n\tstp q4, q5, [sp, #160]\n\tstp q6, q7, [sp, #192]\n\t"
    "mov x0, x16\n\t"
    "bl loretoken_pass_gate\n\t"
    "mov x16, x0\n\t"
    "ldp q0, q1, [sp, #96]\n\tldp q2, q3, [sp, #128]\n\tldp q4, q5, [sp, #160]\n\tldp q6, q7, [sp, #192]\n\t"
    "ldr x8, [sp, #80]\n\t"
    "ldp x0, x1, [sp, #16]\n\tldp x2, x3, [sp, #32]\n\tldp x4, x5, [sp, #48]\n\tldp x6, x7, [sp, #64]\n\t"
    "ldp x29, x30, [sp], #224\n\t"
    "br x16\n\t"
    ".popsection\n");
#endif
extern "C" __attribute__((visibility("hidden"))) char loretoken_gates[];

void* gate_for(void* real, const char* symbol, int version) {
  std::lock_guard lock(g_mutex);
  for (int i = 0; i < kGates; ++i) {
    Gate& gate = g_gates[i];
    void* owner = gate.real.load(std::memory_order_relaxed);
    if (owner != nullptr && owner != real) continue;
    if (owner == nullptr) {
      snprintf(gate.symbol, sizeof gate.symbol, "%s", symbol);
      gate.version = version;
      gate.real.store(real, std::memory_order_release);
    }
    return loretoken_gates + i * 16;
  }
  return nullptr;
}

}  // namespace loretoken::loader
