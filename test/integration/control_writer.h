// A node agent's control file, as an agent writes it: in place, by the seqlock of abi.h, into a file that stays.
#pragma once

#include <string>

#include "loretoken/abi.h"

namespace lt {

class ControlWriter {
 public:
  // Makes the file, with what states nothing but a device of this UUID.
  ControlWriter(std::string path, const uint8_t* uuid);
  ~ControlWriter();
  ControlWriter(const ControlWriter&) = delete;
  ControlWriter& operator=(const ControlWriter&) = delete;

  loretoken_control block = {};  // what the next write() says; magic, versions, sizes and sequence are its own
  loretoken_control_device& device() { return block.devices[0]; }
  void write();
  // CLOCK_MONOTONIC in nanoseconds, for the heartbeat.
  static uint64_t now_ns();
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
  int file_ = -1;
  uint64_t sequence_ = 2;
};

// The UUID of the simulator's first card.
const uint8_t* first_card();

}  // namespace lt
