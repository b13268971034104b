// A device guard on the simulator's card, with heat, power and faults from its control file, and NVML's functions to
// take away or to replace. Time is the test's.
#pragma once

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

#include "guard/device_guard.h"

namespace loretoken {

class GuardDevice : public ::testing::Test {
 protected:
  static constexpr uint64_t kSecond = 1'000'000'000;

  static void SetUpTestSuite() {
    setenv("LORETOKEN_SIM_DEVICES", "1GiB,1GiB", 1);
    setenv("LORETOKEN_SIM_CONTROL", path().c_str(), 1);
    ASSERT_TRUE(load_driver(LORETOKEN_SIM_DRIVER));
    ASSERT_NE(dlopen(LORETOKEN_SIM_NVML, RTLD_NOW), nullptr);
    ASSERT_EQ(driver().cuInit(0), CUDA_SUCCESS);
  }
  static void TearDownTestSuite() { unlink(path().c_str()); }

  void SetUp() override {
    limits(0, 0, 0);  // the settings are read here at the latest, with the log level of theirs
    set_log_level(LogLevel::kInfo);
    inject("");
    table() = nvml();
  }
  void TearDown() override { limits(0, 0, 0); }

  // What the card tells from now on; the lines of test/sim/inject/inject.h.
  static void inject(const std::string& lines) {
    std::ofstream(path() + ".new") << lines;
    ASSERT_EQ(std::rename((path() + ".new").c_str(), path().c_str()), 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
  }

  static void limits(int64_t temperature_milli, uint64_t milliwatts, uint32_t permille) {
    policy().max_temperature_milli.store(temperature_milli);
    policy().max_power_milliwatts.store(milliwatts);
    policy().max_power_permille.store(permille);
  }

  // Looks once a second.
  void look(int seconds = 1) {
    for (int i = 0; i < seconds; ++i) guard.look(now_ += kSecond);
  }
  std::string logged_by_looks(int seconds) {
    testing::internal::CaptureStderr();
    look(seconds);
    return testing::internal::GetCapturedStderr();
  }

  // The functions that the library below finds.
  static Nvml& table() {
    static auto* functions = new Nvml;
    return *functions;
  }
  static const Nvml& found() {
    ++searches();
    return table();
  }
  static int& searches() {
    static int count = 0;
    return count;
  }

  Arbiter arbiter{0, Mode::kFull};
  NvmlLibrary library{found};
  DeviceGuard guard{0, arbiter, library};

 private:
  static const std::string& path() {
    static const auto* text = new std::string("/tmp/loretoken-guard-test-" + std::to_string(getpid()));
    return *text;
  }

  uint64_t now_ = 0;
};

}  // namespace loretoken
