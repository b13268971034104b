#include "guard/device_guard.h"

#include <utility>

#include "base/depth.h"
#include "base/log.h"
#include "loretoken/abi.h"

namespace loretoken {
namespace {

constexpr int kMostEventsPerLook = 64;  // the rest waits for the next look

}  // namespace

DeviceGuard::DeviceGuard(int ordinal, Arbiter& arbiter, NvmlLibrary& library)
    : ordinal_(ordinal),
      arbiter_(arbiter),
      device_(ordinal, library),
      heat_{LORETOKEN_GUARD_THERMAL,          "temperature",      "GPU over its temperature limit",
            "GPU slows itself down for heat", "GPU cooling down", "GPU within its temperature limit"},
      power_{LORETOKEN_GUARD_POWER,      "power",
             "GPU over its power limit", "GPU slows itself down for power",
             "GPU's power falling",      "GPU within its power limit"} {}

void DeviceGuard::look(uint64_t now_ns) {
  InShim inside;
  resting_ = false;
  const LivePolicy& limits = policy();
  const int64_t temperature = limits.max_temperature_milli.load(std::memory_order_relaxed);
  const uint64_t milliwatts = limits.max_power_milliwatts.load(std::memory_order_relaxed);
  const uint32_t permille = limits.max_power_permille.load(std::memory_order_relaxed);
  const bool heat = temperature != 0;
  const bool power = milliwatts != 0 || permille != 0;
  const bool known = device_.open(now_ns);
  const NvmlReading reading = known ? device_.read(heat, power) : NvmlReading();
  if (known) find_fault(reading);
  if (!heat) judge(&heat_, {}, now_ns);
  if (!power) judge(&power_, {}, now_ns);
  const bool tells = known && !reading.lost;
  if (heat && tells) judge(&heat_, judge_heat(reading, temperature), now_ns);
  if (power && tells) judge(&power_, judge_power(reading, milliwatts, permille), now_ns);
  if (heat && !known) tell_unknown(&heat_);
  if (power && !known) tell_unknown(&power_);
  arbiter_.vote(heat_.guard, heat_.vote);
  arbiter_.vote(power_.guard, power_.vote);
  arbiter_.vote(LORETOKEN_GUARD_DEVICE, fault_);
}

void DeviceGuard::rest() {
  if (resting_) return;
  resting_ = true;
  for (Limited* limited : {&heat_, &power_}) {
    judge(limited, {}, 0);
    limited->vote.text = "the node agent looks after the GPU";
    arbiter_.vote(limited->guard, limited->vote);
  }
  Vote well;
  well.text = heat_.vote.text;
  arbiter_.vote(LORETOKEN_GUARD_DEVICE, well);
}

// Empty: there is no limit. What held under one is forgotten.
void DeviceGuard::judge(Limited* limited, const std::optional<Judgement>& judgement, uint64_t now_ns) {
  if (!judgement) {
    limited->rail = Rail();
    limited->vote = Vote();
    limited->vote.text = "no limit is set";
    return;
  }
  if (!judgement->known) tell_unknown(limited);
  const Rail::Level level = limited->rail.look(judgement->strain, now_ns);
  limited->vote = vote_of(level);
  limited->vote.figure = static_cast<uint64_t>(judgement->figure);
  limited->vote.limit = static_cast<uint64_t>(judgement->limit);
  if (level == 0) {
    limited->vote.text = limited->within;
  } else if (judgement->strain != Strain::kBroken) {
    limited->vote.text = limited->easing;
  } else {
    limited->vote.text = judgement->limit == 0 ? limited->slowed : limited->over;
  }
}

// A limit that nothing guards is said aloud, once.
void DeviceGuard::tell_unknown(Limited* limited) {
  if (limited->told) return;
  limited->told = true;
  log_warn("device %d: the limit of its %s has no effect for now: NVML does not tell it here", ordinal_, limited->what);
}

void DeviceGuard::find_fault(const NvmlReading& reading) {
  if (reading.lost) fault("GPU lost: it must be reset", 0);
  if (reading.uncorrected) {
    if (uncorrected_ && *reading.uncorrected > *uncorrected_) {
      memory_fault(reading.uncorrected);
    }
    uncorrected_ = reading.uncorrected;
  }
  for (int i = 0; i < kMostEventsPerLook; ++i) {
    const std::optional<NvmlEvent> event = device_.next_event();
    if (!event) return;
    if (event->memory_error) {
      memory_fault(uncorrected_);
    } else if (is_device_fault(event->xid)) {
      fault("the GPU reported a fault (XID)", event->xid);
    } else {
      log_info("device %d: XID %llu: caused by a program, no fault of the GPU", ordinal_,
               static_cast<unsigned long long>(event->xid));
    }
  }
}

void DeviceGuard::memory_fault(std::optional<uint64_t> errors) {
  std::string text = "uncorrected errors in the GPU's memory (ECC)";
  if (errors) text += ": " + std::to_string(*errors);
  fault(std::move(text), 0);
}

// The first stands.
void DeviceGuard::fault(std::string text, uint64_t xid) {
  if (fault_.mode == Mode::kHold) return;
  fault_.mode = Mode::kHold;
  fault_.figure = xid;
  fault_.text = std::move(text);
}

}  // namespace loretoken
