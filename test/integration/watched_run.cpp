#include "watched_run.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>
#include <utility>

namespace lt {

Telemetry::Telemetry(std::string path) : path_(std::move(path)) {
  unlink(path_.c_str());
}

Telemetry::~Telemetry() {
  if (mapped_ != nullptr) munmap(const_cast<loretoken_telemetry*>(mapped_), sizeof *mapped_);
  unlink(path_.c_str());
}

const loretoken_telemetry* Telemetry::file() {
  if (mapped_ != nullptr) return mapped_;
  const int fd = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status {};
  if (fd < 0) return nullptr;
  if (fstat(fd, &status) == 0 && static_cast<size_t>(status.st_size) >= sizeof *mapped_) {
    void* at = mmap(nullptr, sizeof *mapped_, PROT_READ, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED) mapped_ = static_cast<const loretoken_telemetry*>(at);
  }
  close(fd);
  return mapped_;
}

loretoken_row Telemetry::row() {
  loretoken_row row{};
  if (file() == nullptr || __atomic_load_n(&mapped_->rows[0].pid, __ATOMIC_ACQUIRE) == 0) return row;
  memcpy(&row, &mapped_->rows[0], sizeof row);
  return row;
}

std::vector<loretoken_event> Telemetry::events() {
  std::vector<loretoken_event> found;
  if (file() == nullptr) return found;
  for (const loretoken_event& event : mapped_->events) {
    if (__atomic_load_n(&event.number, __ATOMIC_ACQUIRE) != 0) found.push_back(event);
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.number < b.number; });
  return found;
}

WatchedRun::WatchedRun(std::vector<std::string> command, Environment environment)
    : telemetry("/tmp/loretoken-watched-" + std::to_string(getpid()) + ".telemetry") {
  environment["LORETOKEN_TELEMETRY"] = "/tmp/loretoken-watched-" + std::to_string(getpid()) + ".telemetry";
  future_ = std::async(std::launch::async, [command = std::move(command), environment = std::move(environment)] {
    return run(command, environment, 300);
  });
}

WatchedRun::~WatchedRun() {
  if (future_.valid()) future_.wait();
}

bool WatchedRun::running() {
  return future_.valid() && future_.wait_for(std::chrono::seconds(0)) != std::future_status::ready;
}

bool WatchedRun::wait_for(const std::function<bool(const loretoken_row&)>& holds, int seconds) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  for (;;) {
    const bool last = !running() || std::chrono::steady_clock::now() > until;
    const loretoken_row row = telemetry.row();
    if (row.pid != 0 && holds(row)) return true;
    if (last) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

const Outcome& WatchedRun::outcome() {
  if (!outcome_.has_value()) outcome_ = future_.get();
  return *outcome_;
}

std::vector<loretoken_event> of_guard(const std::vector<loretoken_event>& events, uint32_t guard) {
  std::vector<loretoken_event> found;
  for (const loretoken_event& event : events) {
    if (event.guard == guard) found.push_back(event);
  }
  return found;
}

}  // namespace lt
