// A program of the build that runs under the shim while a test watches its telemetry and changes what it is told.
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "child.h"
#include "loretoken/abi.h"

namespace lt {

// The telemetry file of a container, as an agent reads it.
class Telemetry {
 public:
  explicit Telemetry(std::string path);  // the file need not be there yet
  ~Telemetry();
  Telemetry(const Telemetry&) = delete;
  Telemetry& operator=(const Telemetry&) = delete;

  // The first process's row of its first device; zeros until there is one.
  loretoken_row row();
  std::vector<loretoken_event> events();  // in order; without those that were overwritten

 private:
  const loretoken_telemetry* file();
  const std::string path_;
  const loretoken_telemetry* mapped_ = nullptr;
};

class WatchedRun {
 public:
  WatchedRun(std::vector<std::string> command, Environment environment);
  // Ends it if it still runs: the test has failed then.
  ~WatchedRun();

  Telemetry telemetry;
  // True once `holds` is true; false when the program ended, or time is up, before.
  bool wait_for(const std::function<bool(const loretoken_row&)>& holds, int seconds = 60);
  bool running();
  const Outcome& outcome();  // waits for its end

 private:
  std::future<Outcome> future_;
  std::optional<Outcome> outcome_;
};

// Events of one guard.
std::vector<loretoken_event> of_guard(const std::vector<loretoken_event>& events, uint32_t guard);

}  // namespace lt
