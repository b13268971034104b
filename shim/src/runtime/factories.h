// How a DeviceRuntime gets its rooms. Each returns nullptr when it cannot work; the runtime then stays plain CUDA.
#pragma once

#include <memory>

#include "runtime/runtime.h"

namespace loretoken {

// Loads the kernels and checks them on a small buffer: pack, verify, unpack, compare. The context is current.
std::unique_ptr<Codec> make_codec(DeviceRuntime&);
std::unique_ptr<Physical> make_physical(DeviceRuntime&);
std::unique_ptr<BlobArena> make_blob_arena(DeviceRuntime&);
std::unique_ptr<HostArena> make_host_arena(DeviceRuntime&);
std::unique_ptr<Residency> make_residency(DeviceRuntime&);  // needs physical, the arenas and codec
std::unique_ptr<Heap> make_heap(DeviceRuntime&);            // needs residency
std::unique_ptr<Pools> make_pools(DeviceRuntime&);          // needs heap
std::unique_ptr<Reach> make_reach(DeviceRuntime&);          // needs heap, residency and codec

}  // namespace loretoken
