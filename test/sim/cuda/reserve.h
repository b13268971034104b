// What a pool charges its device: whole chunks, given back only when it is trimmed.
#ifndef LORETOKEN_SIM_RESERVE_H
#define LORETOKEN_SIM_RESERVE_H

#include <cstdint>

namespace loretoken::sim {

class DeviceMemory;

// Needs the driver lock.
class Reserve {
 public:
  Reserve(DeviceMemory* memory, uint64_t chunk) : memory_(memory), chunk_(chunk) {}

  // Charges a whole chunk for bytes that do not fit, or the bytes alone on a device that has no chunk left.
  bool hold(uint64_t bytes);
  void drop(uint64_t bytes) { held_ -= bytes; }
  // Gives chunks back until at most `keep` bytes are charged; what is held stays.
  void trim(uint64_t keep);

  uint64_t held() const { return held_; }
  uint64_t charged() const { return charged_; }

 private:
  DeviceMemory* memory_;
  uint64_t chunk_;
  uint64_t held_ = 0, charged_ = 0;
};

}  // namespace loretoken::sim

#endif  // LORETOKEN_SIM_RESERVE_H
