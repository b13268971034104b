// Turns a touch of unmapped memory inside a stream operation into a sticky error instead of the process's death.
#ifndef LORETOKEN_SIM_FAULT_H
#define LORETOKEN_SIM_FAULT_H

#include <cstdint>

namespace loretoken::sim {

// Installs the SIGSEGV and SIGBUS handlers, chained before those that are there.
void install_fault_handlers();
// Gives the calling thread a signal stack. Once per worker.
void prepare_worker_thread();

// Runs `body(data)`; true, or false with the address when it faulted. Frames between are left without unwinding.
bool run_guarded(void (*body)(void*), void* data, uintptr_t& address);

}  // namespace loretoken::sim

#endif  // LORETOKEN_SIM_FAULT_H
