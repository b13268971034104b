#include "runtime/runtime.h"

#include <pthread.h>
#include <stdlib.h>

#include <algorithm>
#include <bit>

#include "base/depth.h"
#include "base/log.h"
#include "driver/driver.h"
#include "guard/arbiter.h"
#include "guard/guard.h"
#include "guard/integrity.h"
#include "loretoken/codec.h"
#include "memory/heap.h"
#include "memory/physical.h"
#include "memory/pools.h"
#include "reach/reach.h"
#include "report/charge.h"
#include "report/counters.h"
#include "report/report.h"
#include "residency/access.h"
#include "residency/residency.h"
#include "runtime/factories.h"
#include "runtime/sizes.h"
#include "streams/streams.h"

namespace loretoken {
namespace {

std::atomic<Runtime*> g_runtime{nullptr};
std::atomic<bool> g_inert{false};      // child of a process that had set up a device
std::atomic<bool> g_forbidden{false};  // forbid_packing() was called
std::atomic<bool> g_used{false};       // a device was set up in this process

constexpr const char* kUnknownEntries = "unknown entry points";

void forbid(Arbiter* arbiter, const char* cause) {
  arbiter->vote(LORETOKEN_GUARD_DRIVER, {.mode = Mode::kHold, .text = cause});
}

// In the child of a fork: the parent's threads do not exist, its driver state cannot be used.
void after_fork_in_child() {
  t_shim_depth = 0;
  if (g_used.load(std::memory_order_relaxed)) g_inert.store(true, std::memory_order_relaxed);
  g_runtime.store(nullptr, std::memory_order_relaxed);
  g_forbidden.store(false, std::memory_order_relaxed);
  report_after_fork();
}

// Before the driver's library is torn down: our threads may not call it then. Registered once a device is set up, that
// is after the driver registered its own handlers, so it runs before them.
void at_exit() {
  Runtime* runtime = g_runtime.load(std::memory_order_acquire);
  if (runtime != nullptr) runtime->guard().stop();
  for (int ordinal = 0; runtime != nullptr && ordinal < kMaxDevices; ++ordinal) {
    DeviceRuntime* device = runtime->device(ordinal);
    if (device == nullptr) continue;
    device->closed.store(true, std::memory_order_release);
    device->residency->stop();
    device->host->stop();
  }
}

}  // namespace

DeviceRuntime::DeviceRuntime() = default;
DeviceRuntime::~DeviceRuntime() = default;

Runtime::Runtime() : guard_(std::make_unique<Guard>()) {}
Runtime::~Runtime() = default;

Runtime* Runtime::get() {
  if (Runtime* ready = g_runtime.load(std::memory_order_acquire)) return ready;
  if (g_inert.load(std::memory_order_relaxed) || settings().mode == Mode::kOff) return nullptr;
  static const int registered = pthread_atfork(nullptr, nullptr, after_fork_in_child);
  static_cast<void>(registered);
  auto* mine = new Runtime;
  Runtime* expected = nullptr;
  if (g_runtime.compare_exchange_strong(expected, mine, std::memory_order_acq_rel)) return mine;
  delete mine;
  return expected;
}

DeviceRuntime* Runtime::current_device() {
  CUdevice device = 0;
  if (driver().cuCtxGetDevice(&device) != CUDA_SUCCESS) return nullptr;
  if (DeviceRuntime* ready = this->device(device)) return ready;
  if (static_cast<unsigned>(device) >= kMaxDevices || refused_[device].load(std::memory_order_acquire)) return nullptr;
  CUcontext context = nullptr;
  if (driver().cuCtxGetCurrent(&context) != CUDA_SUCCESS || context == nullptr) return nullptr;
  InShim guard;
  return set_up(device, context);
}

DeviceRuntime* Runtime::set_up(int ordinal, CUcontext context) {
  std::lock_guard lock(mutex_);
  if (DeviceRuntime* ready = devices_[ordinal].load(std::memory_order_acquire)) return ready;
  if (refused_[ordinal].load(std::memory_order_acquire)) return nullptr;

  auto made = std::make_unique<DeviceRuntime>();
  made->ordinal = ordinal;
  made->device = ordinal;
  made->context = context;
  const char* missing = nullptr;
  DeviceSizes sizes;
  int managed = 0;
  RelaxedCapture relaxed;
  driver().cuDeviceGetAttribute(&managed, CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, ordinal);
  if (managed == 0) {
    missing = "the device has no virtual memory management";
  } else if (!plan(ordinal, &sizes)) {
    missing = "the driver does not say how much memory the device has";
  } else {
    made->physical_total = sizes.total;
    made->limit = sizes.limit;
    made->virtual_size = sizes.virtual_size;
    made->unit_max = std::clamp<uint64_t>(std::bit_floor(sizes.limit / 32), kPageBytes, uint64_t{256} << 20);
    describe_device(ordinal, sizes.uuid);
    if (sizes.control_index >= 0) charge_under(ordinal, sizes.control_index);
    made->arbiter = std::make_unique<Arbiter>(ordinal, settings().mode);
    if (g_forbidden.load()) forbid(made->arbiter.get(), kUnknownEntries);
    g_used.store(true, std::memory_order_relaxed);
    made->integrity = std::make_unique<IntegrityGuard>(ordinal, *made->arbiter);
    if (!(made->physical = make_physical(*made)))
      missing = "no physical memory could be set up";
    else if (!(made->blobs = make_blob_arena(*made)))
      missing = "no addresses could be reserved for packed data";
    else if (!(made->host = make_host_arena(*made)))
      missing = "the host tier could not be set up";
    else if (!(made->codec = make_codec(*made)))
      missing = "the kernels do not load or failed their check";
    else if (!(made->residency = make_residency(*made)))
      missing = "the mover could not be set up";
    else if (!(made->heap = make_heap(*made)))
      missing = "no addresses could be reserved";
    else if (!(made->pools = make_pools(*made)))
      missing = "the pools could not be set up";
    else if (!(made->reach = make_reach(*made)))
      missing = "pointer scans could not be set up";
  }
  Counters& counted = counters(ordinal);
  if (missing != nullptr) {
    refused_[ordinal].store(true, std::memory_order_release);
    log_warn("device %d runs on plain CUDA: %s", ordinal, missing);
    report_mode(ordinal, LORETOKEN_MODE_OFF, LORETOKEN_GUARD_DRIVER, missing);
    report_event(ordinal, LORETOKEN_GUARD_DRIVER, static_cast<uint32_t>(settings().mode), LORETOKEN_MODE_OFF, 0, 0,
                 missing);
    return nullptr;
  }
  counted.physical_total.store(made->physical_total, std::memory_order_relaxed);
  counted.limit.store(made->limit, std::memory_order_relaxed);
  counted.virtual_size.store(made->virtual_size, std::memory_order_relaxed);
  if (made->arbiter->decided_by() == 0)
    report_mode(ordinal, static_cast<uint32_t>(made->arbiter->mode()), 0, "settings");
  log_info("device %d: %s of physical memory are told as %s", ordinal, format_bytes(made->limit).c_str(),
           format_bytes(made->virtual_size).c_str());
  static const int registered = atexit(at_exit);
  static_cast<void>(registered);
  DeviceRuntime* result = made.release();
  devices_[ordinal].store(result, std::memory_order_release);
  guard_->watch(*result, sizes.uuid);
  return result;
}

bool Runtime::plan(int ordinal, DeviceSizes* sizes) {
  std::lock_guard lock(plan_mutex_);
  if (plans_[ordinal].has_value()) {
    *sizes = *plans_[ordinal];
    return true;
  }
  bool final = false;
  if (!device_sizes(ordinal, *guard_, sizes, &final)) return false;
  if (final) plans_[ordinal] = *sizes;
  return true;
}

bool Runtime::sizes_of(CUdevice device, uint64_t* limit, uint64_t* virtual_size) {
  if (static_cast<unsigned>(device) >= kMaxDevices || refused_[device].load(std::memory_order_acquire)) return false;
  if (const DeviceRuntime* ready = this->device(device)) {
    *limit = ready->limit;
    *virtual_size = ready->virtual_size;
    return true;
  }
  DeviceSizes sizes;
  if (!plan(device, &sizes)) return false;
  *limit = sizes.limit;
  *virtual_size = sizes.virtual_size;
  return true;
}

void Runtime::forbid_packing(const char* cause) {
  g_forbidden.store(true);
  Runtime* runtime = g_runtime.load(std::memory_order_acquire);
  if (runtime == nullptr) return;
  for (int ordinal = 0; ordinal < kMaxDevices; ++ordinal) {
    if (DeviceRuntime* device = runtime->device(ordinal)) forbid(device->arbiter.get(), cause);
  }
  runtime->make_everything_raw();
}

void Runtime::make_everything_raw() {
  for (int ordinal = 0; ordinal < kMaxDevices; ++ordinal) {
    DeviceRuntime* device = this->device(ordinal);
    if (device == nullptr || device->closed.load(std::memory_order_acquire)) continue;
    ContextScope scope(device->context);
    ReachSet all;
    all.everything = true;
    StreamSlot& slot = streams().slot_of(nullptr);
    if (prepare_slow(all, slot) == CUDA_SUCCESS) {
      finish_slow(all, slot);
    } else {
      log_error("device %d: what is packed does not fit raw; a call that this library does not know may fault",
                ordinal);
    }
  }
}

void Runtime::context_closing(CUcontext context) {
  for (int ordinal = 0; ordinal < kMaxDevices; ++ordinal) {
    DeviceRuntime* device = this->device(ordinal);
    if (device == nullptr || device->context != context) continue;
    refused_[ordinal].store(true, std::memory_order_release);
    device->closed.store(true, std::memory_order_release);
    device->residency->rest();
    devices_[ordinal].store(nullptr, std::memory_order_release);
    guard_->forget(ordinal);
    log_info("device %d: its context is destroyed; it runs on plain CUDA from here on", ordinal);
  }
  streams().context_closing(context);
}

}  // namespace loretoken
