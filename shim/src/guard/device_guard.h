// Heat, power and faults of one device, from NVML: what the shim watches itself while no node agent looks after the
// card.
//
// Heat and power act only where a limit of theirs is set (policy()): 0 switches the guard off, the card's own slowdown
// included, because a program that relies on packed memory may not survive the mode off. A limit that is never reached,
// say 200 degrees, leaves the card's own slowdown alone to act. Faults act always. The agent, whose reasons can be
// configured, lets the card's own slowdown act without a limit too.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "guard/arbiter.h"
#include "guard/judge.h"
#include "guard/nvml_device.h"
#include "guard/policy.h"
#include "guard/rail.h"

namespace loretoken {

// Of the guard thread. Destruction touches neither NVML nor the arbiter.
class DeviceGuard {
 public:
  // Cheap; NVML is opened at the first look().
  DeviceGuard(int ordinal, Arbiter& arbiter, NvmlLibrary& library = nvml_library());

  // About every second, and never earlier than before. Reads NVML and votes for LORETOKEN_GUARD_THERMAL, _POWER and
  // _DEVICE, each time all three: the votes of an agent that is gone are replaced. If NVML does not know the card, what
  // held before stays. A fault (an XID that programs do not cause, a growing number of uncorrected ECC errors, a lost
  // card) means hold for the rest of the process; the first one is kept.
  void look(uint64_t now_ns);

  // An agent looks after the card: withdraws this guard's votes at the first call after a look(), the next ones leave
  // the agent's votes of the same names alone. Call it before those are cast. A fault found before is remembered.
  void rest();

 private:
  // One limit's guard.
  struct Limited {
    uint32_t guard;
    const char* what;  // "temperature"
    const char* over;  // the vote's text, by cause
    const char* slowed;
    const char* easing;
    const char* within;
    Rail rail = Rail();
    Vote vote = {};
    bool told = false;
  };

  void judge(Limited* limited, const std::optional<Judgement>& judgement, uint64_t now_ns);
  void tell_unknown(Limited* limited);
  void find_fault(const NvmlReading& reading);
  void memory_fault(std::optional<uint64_t> errors);
  void fault(std::string text, uint64_t xid);

  const int ordinal_;
  Arbiter& arbiter_;
  NvmlDevice device_;
  Limited heat_;
  Limited power_;
  Vote fault_;                           // kHold once the card is ill
  std::optional<uint64_t> uncorrected_;  // ECC errors at the last look
  bool resting_ = false;
};

}  // namespace loretoken
