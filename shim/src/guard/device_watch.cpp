#include "guard/device_watch.h"

#include <algorithm>

#include "base/log.h"
#include "guard/arbiter.h"
#include "guard/control_file.h"
#include "guard/live_control.h"
#include "memory/physical.h"
#include "report/counters.h"
#include "residency/guarded.h"
#include "residency/residency.h"
#include "runtime/runtime.h"

namespace loretoken {
namespace {

constexpr uint64_t kPageMask = ~(kPageBytes - 1);
constexpr uint64_t kCardPauseNs = 1'000'000'000;
constexpr uint64_t kMostBackoff = 8;

const char* words(uint32_t guard) {
  switch (guard) {
    case LORETOKEN_GUARD_THERMAL:
      return "the GPU is too hot";
    case LORETOKEN_GUARD_POWER:
      return "the GPU draws too much power";
    case LORETOKEN_GUARD_DEVICE:
      return "the GPU reported a fault";
    default:
      return "by the node's agent";
  }
}

}  // namespace

DeviceWatch::DeviceWatch(DeviceRuntime& device, const uint8_t* uuid)
    : rt_(device),
      card_(device.ordinal, *device.arbiter),
      penalty_(device.ordinal, *device.arbiter, *device.residency->guarded()) {
  std::memcpy(uuid_, uuid, sizeof uuid_);
}

int DeviceWatch::ordinal() const {
  return rt_.ordinal;
}

void DeviceWatch::look(const loretoken_control* control, bool agent, uint64_t now_ns) {
  const loretoken_control_device* entry = control != nullptr ? entry_of(*control, uuid_) : nullptr;
  if (control != nullptr) {
    rt_.arbiter->vote(0, {.mode = mode_of(*control, settings().mode), .text = "policy"});
    counters(rt_.ordinal).policy_generation.store(control->policy_generation, std::memory_order_relaxed);
  }
  if (entry != nullptr) take_sizes(*entry);
  if (agent) card_.rest();
  take_verdict(agent ? entry : nullptr);
  if (!agent && now_ns - looked_at_card_ns_ >= kCardPauseNs) {
    looked_at_card_ns_ = now_ns;
    card_.look(now_ns);
  }
  penalty_.look(now_ns);
  if (rt_.arbiter->mode() == Mode::kOff) rt_.residency->guarded()->bring_back();
}

// A changed limit or size holds from the next allocation or eviction on.
void DeviceWatch::take_sizes(const loretoken_control_device& entry) {
  const uint64_t limit = std::min(entry.limit & kPageMask, rt_.physical_total);
  if (limit != 0 && limit != rt_.limit.exchange(limit, std::memory_order_relaxed)) {
    counters(rt_.ordinal).limit.store(limit, std::memory_order_relaxed);
    log_info("device %d: the physical limit is now %s", rt_.ordinal, format_bytes(limit).c_str());
    if (rt_.physical->held() > limit) rt_.physical->trim(0);
  }
  const uint64_t size = entry.virtual_size & kPageMask;
  if (size != 0 && size != rt_.virtual_size.exchange(size, std::memory_order_relaxed)) {
    counters(rt_.ordinal).virtual_size.store(size, std::memory_order_relaxed);
    log_info("device %d: the virtual size is now %s", rt_.ordinal, format_bytes(size).c_str());
  }
}

void DeviceWatch::take_verdict(const loretoken_control_device* entry) {
  const uint32_t guard = entry != nullptr && entry->verdict_guard < LORETOKEN_GUARDS ? entry->verdict_guard : 0;
  // First what holds now: from one guard to another nothing resumes in between.
  if (guard != 0) {
    const uint32_t mode = std::min(entry->verdict_mode, LORETOKEN_MODE_OFF);
    rt_.arbiter->vote(guard, {.mode = static_cast<Mode>(mode),
                              .backoff = std::min<uint32_t>(entry->verdict_backoff, kMostBackoff),
                              .figure = entry->verdict_figure,
                              .limit = entry->verdict_limit,
                              .text = words(guard)});
  }
  if (verdict_guard_ != 0 && verdict_guard_ != guard) {
    rt_.arbiter->vote(verdict_guard_, {.text = entry != nullptr ? "all well again" : "the node's agent is gone"});
  }
  verdict_guard_ = guard;
}

}  // namespace loretoken
