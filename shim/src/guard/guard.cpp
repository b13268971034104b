#include "guard/guard.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <exception>

#include "base/clock.h"
#include "base/depth.h"
#include "base/log.h"
#include "base/settings.h"
#include "driver/driver.h"
#include "guard/device_watch.h"
#include "guard/live_control.h"
#include "runtime/runtime.h"

namespace loretoken {
namespace {

// An agent looks every few seconds; one that gave no sign for so long is gone.
constexpr uint64_t kAgentPatienceNs = 30'000'000'000;

// The settings as policy() began with them.
const LivePolicy& from_settings() {
  static const auto* fixed = new LivePolicy(settings());
  return *fixed;
}

// Signals are for the program's threads.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

Guard::Guard() : file_(settings().control) {}

Guard::~Guard() {
  stop();
}

// Whether the agent is alive, and policy() as its block says. False too where there is no file.
bool Guard::take_control(uint64_t now_ns) {
  std::lock_guard lock(file_mutex_);
  loretoken_control read;
  if (file_.read(&read)) control_ = read;
  if (!control_.has_value()) return false;
  if (applied_ != control_->sequence) {
    apply(*control_, from_settings(), &policy());
    applied_ = control_->sequence;
  }
  const uint64_t beat = control_->heartbeat_ns;
  return beat != 0 && (beat >= now_ns || now_ns - beat < kAgentPatienceNs);
}

void Guard::stated_sizes(const uint8_t* uuid, uint64_t* limit, uint64_t* virtual_size, int* index) {
  *limit = 0;
  *virtual_size = 0;
  *index = -1;
  take_control(now_ns());
  std::lock_guard lock(file_mutex_);
  const loretoken_control_device* entry = control_.has_value() ? entry_of(*control_, uuid) : nullptr;
  if (entry == nullptr) return;
  *limit = entry->limit;
  *virtual_size = entry->virtual_size;
  *index = static_cast<int>(entry - control_->devices);
}

void Guard::watch(DeviceRuntime& device, const uint8_t* uuid) {
  auto watched = std::make_unique<DeviceWatch>(device, uuid);
  {
    std::lock_guard lock(looks_);
    devices_.push_back(std::move(watched));
  }
  std::lock_guard lock(mutex_);
  if (stop_ || thread_.joinable()) return;
  const SignalsBlocked blocked;
  thread_ = std::thread([this] { main(); });
}

void Guard::forget(int ordinal) {
  std::lock_guard lock(looks_);
  std::erase_if(devices_, [&](const std::unique_ptr<DeviceWatch>& device) { return device->ordinal() == ordinal; });
}

void Guard::stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Guard::main() {
  InShim inside;
  CUstreamCaptureMode relaxed = CU_STREAM_CAPTURE_MODE_RELAXED;  // no call of ours ends another thread's capture
  driver().cuThreadExchangeStreamCaptureMode(&relaxed);
  const auto pause = std::chrono::milliseconds(settings().guard_pause);
  std::unique_lock lock(mutex_);
  while (!stop_) {
    lock.unlock();
    try {
      look(now_ns());
    } catch (const std::exception& error) {  // no memory: the next look may have some
      log_warn("the guardrails missed a look: %s", error.what());
    }
    lock.lock();
    wake_.wait_for(lock, pause, [&] { return stop_; });
  }
}

void Guard::look(uint64_t now_ns) {
  const bool agent = take_control(now_ns);
  std::optional<loretoken_control> control;
  {
    std::lock_guard lock(file_mutex_);
    control = control_;
  }
  std::lock_guard lock(looks_);
  for (const auto& device : devices_) device->look(control.has_value() ? &*control : nullptr, agent, now_ns);
}

}  // namespace loretoken
