// Functions of a driver newer than this library. The program gets a gate: its first call stops packing (what it touches
// is not known), then and later it goes on to the real function with registers and stack as they were.
#pragma once

namespace loretoken::loader {

// The gate for `real`, nullptr when all gates are taken. `symbol` is remembered for the warning. The same pointer gets
// the same gate. Thread-safe.
void* gate_for(void* real, const char* symbol, int version);

}  // namespace loretoken::loader
