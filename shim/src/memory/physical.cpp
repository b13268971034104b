#include "memory/physical.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "driver/driver.h"
#include "memory/page_table.h"
#include "report/charge.h"
#include "report/counters.h"
#include "runtime/factories.h"

namespace loretoken {
namespace {

class VmmPhysical final : public Physical {
 public:
  explicit VmmPhysical(DeviceRuntime& runtime) : rt_(runtime), counters_(counters(runtime.ordinal)) {}

  Handle acquire(uint64_t bytes) override { return take(bytes, reserve_.load(std::memory_order_relaxed)); }
  Handle acquire_chunk(uint64_t bytes) override { return take(bytes, 0); }

  void give_back(Handle handle) override {
    if (handle.bytes == 0) return;
    std::lock_guard lock(mutex_);
    free_[handle.bytes].push_back(handle.handle);
    idle_ += handle.bytes;
    // What we keep is what other processes of the group cannot have.
    if (charged_by_others_cached() != 0) shrink_idle(rt_.limit / 16);
    if (held_ > available()) shrink_idle_for(0);  // the limit was lowered
    publish();
  }

  void trim(uint64_t keep_bytes) override {
    std::lock_guard lock(mutex_);
    shrink_idle(keep_bytes);
    publish();
  }

  void set_reserve(uint64_t bytes) override { reserve_.store(bytes, std::memory_order_relaxed); }
  uint64_t reserve() const override { return reserve_.load(std::memory_order_relaxed); }
  uint64_t held() const override { return held_.load(std::memory_order_relaxed); }
  uint64_t idle() const override { return idle_.load(std::memory_order_relaxed); }
  uint64_t foreign() const override { return foreign_.load(std::memory_order_relaxed); }

  uint64_t available() const override {
    const uint64_t others = charged_by_others_cached();
    return rt_.limit > others ? rt_.limit - others : 0;
  }

  bool charge(uint64_t bytes) override {
    std::lock_guard lock(mutex_);
    if (held_ + bytes > available()) shrink_idle_for(bytes);
    grow(bytes);
    return held_ <= available();
  }

  void discharge(uint64_t bytes) override {
    std::lock_guard lock(mutex_);
    shrink(bytes);
  }

  bool charge_foreign(uint64_t bytes) override {
    foreign_ += bytes;
    return charge(bytes);
  }

  void discharge_foreign(uint64_t bytes) override {
    foreign_ -= bytes;
    discharge(bytes);
  }

 private:
  Handle take(uint64_t bytes, uint64_t reserve) {
    std::lock_guard lock(mutex_);
    const uint64_t room = available();
    if (held_ - idle_ + bytes + reserve > room) return {};
    if (const auto it = free_.find(bytes); it != free_.end() && !it->second.empty()) {
      const CUmemGenericAllocationHandle handle = it->second.back();
      it->second.pop_back();
      idle_ -= bytes;
      publish();
      return {handle, bytes};
    }
    if (held_ + bytes + reserve > room) shrink_idle_for(bytes + reserve);
    CUmemAllocationProp prop = {};
    prop.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    prop.location = {CU_MEM_LOCATION_TYPE_DEVICE, rt_.ordinal};
    CUmemGenericAllocationHandle handle = 0;
    CUresult result = driver().cuMemCreate(&handle, bytes, &prop, 0);
    if (result == CUDA_ERROR_OUT_OF_MEMORY && idle_ != 0) {
      shrink_idle(0);
      result = driver().cuMemCreate(&handle, bytes, &prop, 0);
    }
    if (result != CUDA_SUCCESS) {
      if (result != CUDA_ERROR_OUT_OF_MEMORY)
        log_error("cuMemCreate of %llu bytes: driver error %d", static_cast<unsigned long long>(bytes), result);
      publish();
      return {};
    }
    grow(bytes);
    return {handle, bytes};
  }

  // Releases idle handles, the largest first, until held + bytes fits or none is left.
  void shrink_idle_for(uint64_t bytes) {
    const uint64_t room = available();
    const uint64_t over = held_ + bytes > room ? held_ + bytes - room : 0;
    shrink_idle(idle_ > over ? idle_ - over : 0);
  }

  void shrink_idle(uint64_t keep) {
    for (auto it = free_.rbegin(); it != free_.rend() && idle_ > keep; ++it) {
      while (!it->second.empty() && idle_ > keep) {
        driver().cuMemRelease(it->second.back());
        it->second.pop_back();
        idle_ -= it->first;
        shrink(it->first);
      }
    }
  }

  void grow(uint64_t bytes) {
    held_ += bytes;
    ::loretoken::charge(rt_.ordinal, bytes);
    publish();
  }

  void shrink(uint64_t bytes) {
    held_ -= bytes;
    ::loretoken::discharge(rt_.ordinal, bytes);
    publish();
  }

  void publish() {
    gauge(counters_.held_bytes, counters_.held_peak, held_);
    counters_.idle_bytes.store(idle_, std::memory_order_relaxed);
    counters_.foreign_bytes.store(foreign_, std::memory_order_relaxed);
  }

  // The pass over the group's rows, at most every 2 ms: the engine asks in its inner loops.
  uint64_t charged_by_others_cached() const {
    const uint64_t now = now_ns();
    if (now - asked_.load(std::memory_order_relaxed) > 2'000'000) {
      others_.store(charged_by_others(rt_.ordinal), std::memory_order_relaxed);
      asked_.store(now, std::memory_order_relaxed);
    }
    return others_.load(std::memory_order_relaxed);
  }

  DeviceRuntime& rt_;
  Counters& counters_;
  std::mutex mutex_;
  std::map<uint64_t, std::vector<CUmemGenericAllocationHandle>> free_;  // by size
  std::atomic<uint64_t> held_{0};
  std::atomic<uint64_t> idle_{0};
  std::atomic<uint64_t> foreign_{0};
  std::atomic<uint64_t> reserve_{0};
  mutable std::atomic<uint64_t> asked_{0};
  mutable std::atomic<uint64_t> others_{0};
};

}  // namespace

std::unique_ptr<Physical> make_physical(DeviceRuntime& runtime) {
  if (!ensure_window(2 * runtime.virtual_size)) return nullptr;
  return std::make_unique<VmmPhysical>(runtime);
}

}  // namespace loretoken
