// The shim's state in one process: built on the first driver call that needs it, never inside dlsym, never torn down
// (the driver may call back late); after fork the child's copy is inert and is built anew on first use.
#pragma once

#include <cuda.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "base/settings.h"
#include "memory/unit.h"
#include "runtime/sizes.h"

namespace loretoken {

class Heap;
class Physical;
class BlobArena;
class HostArena;
class Residency;
class Reach;
class Pools;
class Codec;
class Arbiter;
class Guard;
class IntegrityGuard;

// Everything of one device. Created when the first context on it allocates; lives as long as the process.
struct DeviceRuntime {
  int ordinal = 0;
  CUdevice device = 0;
  CUcontext context = nullptr;            // in which our streams, events and kernels live
  uint64_t physical_total = 0;            // bytes of the card
  std::atomic<uint64_t> limit{0};         // physical limit of this process group, bytes; the agent may change it
  std::atomic<uint64_t> virtual_size{0};  // bytes the program is told; the agent may change it
  uint64_t unit_max = 0;                  // largest unit, bytes: clamp(limit/32, 2 MiB, 256 MiB), a power of two
  std::atomic<bool> closed{false};        // the context is being destroyed: threads of ours make no further driver call
  std::unique_ptr<Arbiter> arbiter;       // nullptr, as the guard: not watched, the settings hold
  std::unique_ptr<IntegrityGuard> integrity;
  std::unique_ptr<Physical> physical;
  std::unique_ptr<BlobArena> blobs;
  std::unique_ptr<HostArena> host;
  std::unique_ptr<Codec> codec;
  std::unique_ptr<Residency> residency;
  std::unique_ptr<Heap> heap;
  std::unique_ptr<Pools> pools;
  std::unique_ptr<Reach> reach;

  DeviceRuntime();
  ~DeviceRuntime();
};

inline constexpr int kMaxDevices = 16;

class Runtime {
 public:
  // The process's runtime; nullptr while the shim is not active (mode off from the start, in the child of a process
  // that used the device, which the driver refuses to serve). Cost: one acquire load.
  static Runtime* get();

  // Runtime of the device of the current context, set up if needed; nullptr → pass the call through. Setting up calls
  // the driver under a mutex of its own; later calls cost one driver call and one load.
  DeviceRuntime* current_device();
  // By ordinal; nullptr if that device was never set up, could not be, or its context is gone.
  DeviceRuntime* device(int ordinal) {
    return static_cast<unsigned>(ordinal) < kMaxDevices ? devices_[ordinal].load(std::memory_order_acquire) : nullptr;
  }
  int device_count() const { return kMaxDevices; }  // ordinals to ask device() for

  // What the program's devices are limited to and told, also before they are set up. Bytes; from the settings and what
  // the card had free at the first call with a context on it. False: the driver does not say, or the device cannot be
  // served.
  bool sizes_of(CUdevice device, uint64_t* limit, uint64_t* virtual_size);

  // Something happened after which no unit may be packed any more: mode hold, and what is packed is made raw. Works
  // also before the runtime exists.
  static void forbid_packing(const char* cause);

  // The context is about to be destroyed: its device runs on plain CUDA from then on.
  void context_closing(CUcontext context);

  Guard& guard() { return *guard_; }

 private:
  Runtime();
  ~Runtime();
  DeviceRuntime* set_up(int ordinal, CUcontext context);
  bool plan(int ordinal, DeviceSizes* sizes);
  void make_everything_raw();

  std::mutex mutex_;       // guards setting up; held across driver calls that do not wait for the GPU's other work
  std::mutex plan_mutex_;  // guards plans_
  std::optional<DeviceSizes> plans_[kMaxDevices];
  std::atomic<DeviceRuntime*> devices_[kMaxDevices] = {};
  std::atomic<bool> refused_[kMaxDevices] = {};  // could not be set up, or was closed: plain CUDA
  const std::unique_ptr<Guard> guard_;
};

}  // namespace loretoken
