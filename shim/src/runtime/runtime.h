// The shim's state in one process: built on the first driver call that needs it, never inside dlsym, never torn down
// (the driver may call back late); after fork the child's copy is inert and is built anew on first use.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <memory>

#include "base/settings.h"
#include "memory/unit.h"

namespace loretoken {

class Heap;
class Physical;
class BlobArena;
class HostArena;
class Residency;
class Reach;
class Pools;
class Codec;

// Everything of one device. Created when the first context on it allocates; lives as long as the process.
struct DeviceRuntime {
  int ordinal = 0;
  CUdevice device = 0;
  CUcontext context = nullptr;   // in which our streams, events and kernels live
  uint64_t physical_total = 0;   // bytes of the card
  uint64_t limit = 0;            // physical limit of this process group, bytes
  uint64_t virtual_size = 0;     // bytes the program is told
  uint64_t unit_max = 0;         // largest unit, bytes: clamp(limit/32, 2 MiB, 256 MiB), a power of two
  std::unique_ptr<Physical> physical;
  std::unique_ptr<BlobArena> blobs;
  std::unique_ptr<HostArena> host;
  std::unique_ptr<Residency> residency;
  std::unique_ptr<Heap> heap;
  std::unique_ptr<Pools> pools;
  std::unique_ptr<Reach> reach;
  std::unique_ptr<Codec> codec;
};

class Runtime {
 public:
  // The process's runtime; nullptr while the shim is not active (mode off from the start, no usable driver, VMM
  // missing, inside a forked child before cuInit). Lock-free after construction.
  static Runtime* get();

  // Runtime of the device of the current context, created if needed; nullptr → pass the call through.
  DeviceRuntime* current_device();
  // By ordinal; nullptr if that device was never set up.
  DeviceRuntime* device(int ordinal);
  int device_count() const;

  Mode mode() const;
  void set_mode(Mode, const char* cause);  // one event per change
};

}  // namespace loretoken
