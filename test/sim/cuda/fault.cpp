#include "fault.h"

#include <setjmp.h>
#include <signal.h>

#include <cstdlib>

namespace loretoken::sim {

namespace {

struct Guard {
  sigjmp_buf place;
  uintptr_t address = 0;
};

thread_local Guard* current_guard = nullptr;
struct sigaction previous_segv, previous_bus;

void chain(int signal, siginfo_t* info, void* context) {
  const struct sigaction& previous = signal == SIGSEGV ? previous_segv : previous_bus;
  if (previous.sa_flags & SA_SIGINFO) {
    previous.sa_sigaction(signal, info, context);
    return;
  }
  if (previous.sa_handler == SIG_IGN) return;
  if (previous.sa_handler != SIG_DFL) {
    previous.sa_handler(signal);
    return;
  }
  // Back to the default action: the instruction faults again and the process dies as it would have.
  ::signal(signal, SIG_DFL);
}

void on_fault(int signal, siginfo_t* info, void* context) {
  Guard* guard = current_guard;
  if (!guard) {
    chain(signal, info, context);
    return;
  }
  guard->address = reinterpret_cast<uintptr_t>(info->si_addr);
  current_guard = nullptr;
  siglongjmp(guard->place, 1);
}

}  // namespace

void install_fault_handlers() {
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigemptyset(&action.sa_mask);
  sigaction(SIGSEGV, &action, &previous_segv);
  sigaction(SIGBUS, &action, &previous_bus);
}

void prepare_worker_thread() {
  constexpr size_t kStack = 64u << 10;
  static thread_local char* stack = nullptr;
  if (stack) return;
  stack = static_cast<char*>(malloc(kStack));
  stack_t description{};
  description.ss_sp = stack;
  description.ss_size = kStack;
  sigaltstack(&description, nullptr);
}

bool run_guarded(void (*body)(void*), void* data, uintptr_t& address) {
  Guard guard;
  Guard* outer = current_guard;
  if (sigsetjmp(guard.place, 1) == 0) {
    current_guard = &guard;
    body(data);
    current_guard = outer;
    return true;
  }
  current_guard = outer;
  address = guard.address;
  return false;
}

}  // namespace loretoken::sim
