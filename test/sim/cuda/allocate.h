// Making and taking allocations; shared by the plain, stream-ordered and graph calls.
#ifndef LORETOKEN_SIM_ALLOCATE_H
#define LORETOKEN_SIM_ALLOCATE_H

#include "state.h"

namespace loretoken::sim {

// Enters an allocation into the address map.
std::shared_ptr<Allocation> register_allocation(uintptr_t base, uint64_t size, Kind kind,
                                                const std::shared_ptr<Context>& ctx);

// Device memory that is mapped and filled with the pattern. Releases the lock while filling.
CUresult allocate_device(Lock& lock, const std::shared_ptr<Context>& ctx, size_t bytes, Kind kind, CUdeviceptr* out);

// Memory from a pool, not mapped yet. Waits for frees that are queued when the card is full.
CUresult allocate_from_pool(Lock& lock, const std::shared_ptr<Pool>& pool, const std::shared_ptr<Context>& ctx,
                            size_t bytes, std::shared_ptr<Allocation>& out);

// Gives the block back to its heap and removes the allocation.
void release(Allocation& allocation);
// Gives cached bytes of all pools of the device back to it.
void trim_pools(int device);
// Tells NVML's board what the device holds.
void publish(int device);

}  // namespace loretoken::sim

#endif  // LORETOKEN_SIM_ALLOCATE_H
