// The guardrails of a process: one thread that, every LORETOKEN_GUARD_PAUSE, reads the agent's control file, looks at
// the card itself where no agent does, and judges what moving memory costs. What it finds becomes votes on the devices'
// modes and new values of policy(). It costs a launch nothing: no hook waits for it or takes its lock.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "guard/control_file.h"
#include "guard/policy.h"

namespace loretoken {

struct DeviceRuntime;
class DeviceWatch;

class Guard {
 public:
  Guard();
  ~Guard();

  // What the control file stated for a device when the process began to use it; 0: nothing. Reads the file once.
  void stated_sizes(const uint8_t* uuid, uint64_t* limit, uint64_t* virtual_size, int* index);

  // Looks after the device from now on. The thread starts with the first one.
  void watch(DeviceRuntime& device, const uint8_t* uuid);
  // The device's context is gone.
  void forget(int ordinal);
  // No look is under way at return, and none follows.
  void stop();

 private:
  void main();
  void look(uint64_t now_ns);  // looks_ held
  bool take_control(uint64_t now_ns);

  std::mutex file_mutex_;  // guards control_ and file_
  ControlFile file_;
  std::optional<loretoken_control> control_;  // as last read whole
  uint64_t applied_ = ~uint64_t{0};           // its sequence when policy() was set from it

  std::mutex looks_;  // guards devices_; held for a look
  std::vector<std::unique_ptr<DeviceWatch>> devices_;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace loretoken
