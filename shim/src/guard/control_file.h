// The control file, as the agent wrote it last: whole, or not at all (seqlock of abi.h). It is opened at each look, so
// a program that closes every descriptor of its process does not point us at something else, and never mapped, so a
// file that is cut short cannot raise SIGBUS.
#pragma once

#include <string>

#include "loretoken/abi.h"

namespace loretoken {

class ControlFile {
 public:
  explicit ControlFile(std::string path) : path_(std::move(path)) {}

  // False: no path, no file, not a control file, another major version, or the agent was writing all the while. What a
  // smaller file of an older agent does not state is zero. The first failure of a kind is logged. Cost: four system
  // calls.
  bool read(loretoken_control* out);

 private:
  bool refuse(const char* why);

  const std::string path_;
  const char* refused_ = nullptr;  // the last reason, so that each is logged once
};

// The entry of a device, or nullptr. `uuid`: 16 bytes as cuDeviceGetUuid gives them.
const loretoken_control_device* entry_of(const loretoken_control& control, const uint8_t* uuid);

}  // namespace loretoken
