// What the guard thread knows of one device: the agent's say, the card's own figures, the cost of moving memory.
#pragma once

#include <cstdint>
#include <cstring>

#include "guard/device_guard.h"
#include "guard/penalty.h"
#include "loretoken/abi.h"

namespace loretoken {

struct DeviceRuntime;

class DeviceWatch {
 public:
  DeviceWatch(DeviceRuntime& device, const uint8_t* uuid);

  // One look. `control`: the agent's block, or nullptr; `agent`: the agent gave a sign of life lately, so its verdicts
  // count and the card's sensors are its business.
  void look(const loretoken_control* control, bool agent, uint64_t now_ns);
  int ordinal() const;

 private:
  void take_sizes(const loretoken_control_device& entry);
  void take_verdict(const loretoken_control_device* entry);

  DeviceRuntime& rt_;
  uint8_t uuid_[16];
  DeviceGuard card_;
  PenaltyGuard penalty_;
  uint64_t looked_at_card_ns_ = 0;
  uint32_t verdict_guard_ = 0;  // the guard that the agent's verdict counts for now; 0: none
};

}  // namespace loretoken
