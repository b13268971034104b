// Several processes of one container share its physical limit and that of pinned host memory: what each holds is
// charged in the telemetry file. Without a file, or when it cannot be used, a process counts alone.
#pragma once

#include <cstdint>

namespace loretoken {

// The index under which the group charges the device: its place in the control file, which all processes of the group
// agree on, where driver ordinals may differ. Before the first charge; without it the ordinal is used.
void charge_under(int device, int index);

// Adds to / takes from what this process holds on the device. Never fails; checks nothing.
void charge(int device, uint64_t bytes);
void discharge(int device, uint64_t bytes);
uint64_t charged(int device);

// Bytes that other live processes of the group hold on the device. Rows of dead processes are reclaimed on the way, at
// most every 100 ms. Cost: one pass over 64 rows.
uint64_t charged_by_others(int device);

// The same for the host memory that the shim pins.
void charge_pinned(uint64_t bytes);
void discharge_pinned(uint64_t bytes);
uint64_t pinned_by_group();  // this process's too

}  // namespace loretoken
