// The telemetry file: mapped at the first use of counters, charge or events; private memory when none is given or it
// cannot be used.
#pragma once

#include <cstdint>

#include "loretoken/abi.h"

namespace loretoken {

// What describes the row of a device besides counters.
void describe_device(int device, const uint8_t uuid[16]);
void report_mode(int device, uint32_t mode, uint32_t guard, const char* cause);

// Appends to the ring of guardrail events. Text is cut at 127 bytes. `eased`: the guard asks for less than before.
void report_event(int device, uint32_t guard, uint32_t from_mode, uint32_t to_mode, uint64_t figure, uint64_t limit,
                  const char* text, bool eased = false);

// The mapped (or private) telemetry; never nullptr.
loretoken_telemetry* telemetry();

// After fork, in the child: forgets the parent's row; the child claims its own on first use.
void report_after_fork();

}  // namespace loretoken
