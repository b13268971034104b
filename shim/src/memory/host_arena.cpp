#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "base/depth.h"
#include "base/log.h"
#include "driver/driver.h"
#include "guard/policy.h"
#include "memory/host_space.h"
#include "memory/physical.h"
#include "report/charge.h"
#include "runtime/factories.h"
#include "streams/streams.h"

namespace loretoken {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kEmptyForNs = 10'000'000'000;  // then a chunk goes back to the system

class PinnedArena final : public HostArena {
 public:
  explicit PinnedArena(DeviceRuntime& runtime)
      : rt_(runtime), chunk_bytes_(std::clamp(limit() / 16 / kMiB * kMiB, 2 * kMiB, 256 * kMiB)) {}

  ~PinnedArena() override { stop(); }

  void stop() override {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    if (keeper_.joinable()) keeper_.join();
  }

  void* allocate(uint64_t bytes) override {
    std::unique_lock lock(mutex_);
    if (!keeper_.joinable() && limit() != 0 && !stop_) keeper_ = std::thread([this] { keep(); });
    uint64_t address = space_.allocate(bytes);
    if (address == 0) {
      lock.unlock();
      const uint64_t whole = (bytes + HostSpace::kAlignment + 2 * kMiB - 1) / (2 * kMiB) * (2 * kMiB);
      const Extent chunk = pin(whole, std::max(chunk_bytes_, whole));
      lock.lock();
      if (chunk.bytes != 0) space_.add_chunk(chunk.base, chunk.bytes, now_ns());
      address = space_.allocate(bytes);
    }
    used_.store(space_.used(), std::memory_order_relaxed);
    if (address != 0 && space_.free_bytes() < chunk_bytes_ / 2) wake_.notify_one();
    return reinterpret_cast<void*>(address);
  }

  void release(void* address) override {
    std::lock_guard lock(mutex_);
    space_.release(reinterpret_cast<uint64_t>(address), now_ns());
    used_.store(space_.used(), std::memory_order_relaxed);
  }

  uint64_t used() const override { return used_.load(std::memory_order_relaxed); }
  uint64_t limit() const override { return policy().host_limit.load(std::memory_order_relaxed); }

 private:
  // Pins `wished` bytes, or at least `least` where the limit or the system gives no more.
  Extent pin(uint64_t least, uint64_t wished) {
    for (const uint64_t bytes : {wished, least}) {
      charge_pinned(bytes);
      void* host = nullptr;
      if (pinned_by_group() <= limit()) {
        ContextScope scope(rt_.context);
        RelaxedCapture relaxed;
        if (driver().cuMemHostAlloc(&host, bytes, CU_MEMHOSTALLOC_PORTABLE) == CUDA_SUCCESS) {
          return {reinterpret_cast<uint64_t>(host), bytes};
        }
      }
      discharge_pinned(bytes);
    }
    return {};
  }

  // Pins one chunk ahead of need and gives back what has long been empty: both are slow and may wait for the GPU, so
  // neither runs under a lock or on a thread of the program's.
  void keep() {
    InShim inside;
    std::unique_lock lock(mutex_);
    while (!stop_) {
      wake_.wait_for(lock, std::chrono::seconds(2));
      if (stop_) return;
      if (rt_.closed.load(std::memory_order_acquire)) continue;
      if (space_.used() != 0 && space_.free_bytes() < chunk_bytes_ / 2) {
        lock.unlock();
        const Extent chunk = pin(chunk_bytes_, chunk_bytes_);
        lock.lock();
        if (chunk.bytes != 0) space_.add_chunk(chunk.base, chunk.bytes, now_ns());
        continue;
      }
      const uint64_t now = now_ns();
      const Extent empty = now > kEmptyForNs ? space_.take_empty(now - kEmptyForNs) : Extent{};
      if (empty.bytes == 0) continue;
      lock.unlock();
      {
        ContextScope scope(rt_.context);
        RelaxedCapture relaxed;
        driver().cuMemFreeHost(reinterpret_cast<void*>(empty.base));
      }
      discharge_pinned(empty.bytes);
      lock.lock();
    }
  }

  DeviceRuntime& rt_;
  const uint64_t chunk_bytes_;
  std::mutex mutex_;
  std::condition_variable wake_;
  HostSpace space_;
  std::thread keeper_;
  std::atomic<uint64_t> used_{0};
  bool stop_ = false;
};

}  // namespace

std::unique_ptr<HostArena> make_host_arena(DeviceRuntime& runtime) {
  return std::make_unique<PinnedArena>(runtime);
}

}  // namespace loretoken
