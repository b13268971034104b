// The control file: read whole or not at all, from older and newer agents, and what its fields mean for policy().
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <fstream>
#include <string>

#include "guard/control_file.h"
#include "guard/live_control.h"

namespace loretoken {
namespace {

constexpr uint8_t kUuid[16] = {1, 2, 3};
constexpr size_t kHeader = offsetof(loretoken_control, devices);

class ControlFileTest : public testing::Test {
 protected:
  void SetUp() override {
    set_log_level(LogLevel::kError);
    block_.magic = LORETOKEN_CONTROL_MAGIC;
    block_.version_major = LORETOKEN_ABI_MAJOR;
    block_.size = sizeof block_;
    block_.sequence = 2;
    block_.host_limit = UINT64_MAX;
    block_.device_count = 1;
    block_.device_size = sizeof block_.devices[0];
    memcpy(block_.devices[0].uuid, kUuid, sizeof kUuid);
    block_.devices[0].limit = 77;
  }
  void TearDown() override { unlink(path_.c_str()); }

  void put(const void* bytes, size_t count) {
    std::ofstream file(path_, std::ios::binary | std::ios::trunc);
    file.write(static_cast<const char*>(bytes), static_cast<std::streamsize>(count));
  }
  void put() { put(&block_, sizeof block_); }
  bool read() { return ControlFile(path_).read(&read_); }

  const std::string path_ = "/tmp/loretoken-control-test-" + std::to_string(getpid());
  loretoken_control block_ = {};
  loretoken_control read_ = {};
};

TEST_F(ControlFileTest, ReadsWhatWasWritten) {
  put();
  ASSERT_TRUE(read());
  const loretoken_control_device* entry = entry_of(read_, kUuid);
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(entry->limit, 77u);
  constexpr uint8_t kOther[16] = {9};
  EXPECT_EQ(entry_of(read_, kOther), nullptr);
}

TEST_F(ControlFileTest, RefusesWhatIsNotAControlFile) {
  EXPECT_FALSE(read()) << "there is no file";
  EXPECT_FALSE(ControlFile("").read(&read_));
  EXPECT_FALSE(ControlFile("/tmp").read(&read_)) << "a folder";
  put("short", 5);
  EXPECT_FALSE(read());
  const std::string garbage(4096, 'x');
  put(garbage.data(), garbage.size());
  EXPECT_FALSE(read());
  block_.version_major = LORETOKEN_ABI_MAJOR + 1;
  put();
  EXPECT_FALSE(read());
}

TEST_F(ControlFileTest, AWriterThatDiedInTheMiddleIsNotBelieved) {
  block_.sequence = 3;
  put();
  EXPECT_FALSE(read());
}

TEST_F(ControlFileTest, AnOlderAgentsShorterFileStatesTheRestAsZero) {
  block_.device_count = 0;
  put(&block_, kHeader);
  EXPECT_TRUE(read());
  block_.device_count = 1;
  block_.device_size = offsetof(loretoken_control_device, verdict_mode);
  block_.devices[0].verdict_mode = 2;
  put(&block_, kHeader + block_.device_size);
  ASSERT_TRUE(read());
  const loretoken_control_device* entry = entry_of(read_, kUuid);
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(entry->limit, 77u);
  EXPECT_EQ(entry->verdict_mode, 0u);
}

TEST_F(ControlFileTest, ANewerAgentsLargerEntriesAreReadByTheirSize) {
  struct Larger {
    loretoken_control_device known;
    uint64_t more[5];
  };
  std::string bytes(reinterpret_cast<const char*>(&block_), kHeader);
  constexpr uint8_t kSecond[16] = {7};
  Larger entries[2] = {};
  memcpy(entries[0].known.uuid, kUuid, sizeof kUuid);
  memcpy(entries[1].known.uuid, kSecond, sizeof kSecond);
  entries[1].known.limit = 99;
  bytes.append(reinterpret_cast<const char*>(entries), sizeof entries);
  const uint32_t count = 2;
  const uint32_t size = sizeof(Larger);
  memcpy(&bytes[offsetof(loretoken_control, device_count)], &count, sizeof count);
  memcpy(&bytes[offsetof(loretoken_control, device_size)], &size, sizeof size);
  put(bytes.data(), bytes.size());
  ASSERT_TRUE(read());
  const loretoken_control_device* entry = entry_of(read_, kSecond);
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(entry->limit, 99u);
}

TEST_F(ControlFileTest, MoreDevicesThanThereIsRoomForAreCut) {
  block_.device_count = 1000;
  put();
  ASSERT_TRUE(read());
  EXPECT_EQ(read_.device_count, LORETOKEN_MAX_DEVICES);
}

TEST(LiveControl, EveryFieldIsTaken) {
  loretoken_control control{};
  control.verify = 1;
  control.integrity = 2;
  control.integrity_threshold = 3;
  control.integrity_window_s = 60;
  control.max_penalty_permille = 100;
  control.penalty_window_ms = 500;
  control.codecs = 5;
  control.host_limit = 4096;
  control.max_temperature_milli = -5000;
  control.max_power_milliwatts = 300'000;
  control.max_power_permille = 900;
  control.pointer_safety = 2;
  const LivePolicy base{Settings()};
  LivePolicy live{Settings()};
  apply(control, base, &live);
  EXPECT_EQ(live.verify, Verify::kSample);
  EXPECT_EQ(live.integrity, Integrity::kPassthrough);
  EXPECT_EQ(live.integrity_threshold, 3u);
  EXPECT_EQ(live.integrity_window_s, 60u);
  EXPECT_EQ(live.max_penalty_permille, 100u);
  EXPECT_EQ(live.penalty_window_ms, 500u);
  EXPECT_EQ(live.codecs, 5u);
  EXPECT_EQ(live.host_limit, 4096u);
  EXPECT_EQ(live.max_temperature_milli, -5000);
  EXPECT_EQ(live.max_power_milliwatts, 300'000u);
  EXPECT_EQ(live.max_power_permille, 900u);
  EXPECT_EQ(live.pointers, Pointers::kStrict);
}

TEST(LiveControl, WhatIsNotStatedIsTheSettings) {
  Settings settings;
  settings.integrity_threshold = 4;
  settings.max_penalty = 7;
  settings.max_temperature = 80;
  settings.pointers = Pointers::kStrict;
  const LivePolicy base{settings};
  LivePolicy live{Settings()};
  loretoken_control control{};
  control.host_limit = UINT64_MAX;
  apply(control, base, &live);
  EXPECT_EQ(live.integrity_threshold, 4u);
  EXPECT_EQ(live.max_penalty_permille, 70u);
  EXPECT_EQ(live.penalty_window_ms, 10'000u);
  EXPECT_EQ(live.max_temperature_milli, 80'000);
  EXPECT_EQ(live.host_limit, base.host_limit);
  EXPECT_EQ(live.pointers, Pointers::kStrict);
}

TEST(LiveControl, NumbersOfANewerAgentAreLeftOut) {
  loretoken_control control{};
  control.verify = 99;
  control.integrity = 99;
  control.pointer_safety = 99;
  control.mode = 99;
  const LivePolicy base{Settings()};
  LivePolicy live{Settings()};
  apply(control, base, &live);
  EXPECT_EQ(live.verify, base.verify);
  EXPECT_EQ(live.integrity, base.integrity);
  EXPECT_EQ(live.pointers, base.pointers);
  EXPECT_EQ(mode_of(control, Mode::kHold), Mode::kHold);
}

TEST(LiveControl, TheStricterModeHolds) {
  loretoken_control control{};
  control.mode = LORETOKEN_MODE_HOLD;
  EXPECT_EQ(mode_of(control, Mode::kFull), Mode::kHold);
  EXPECT_EQ(mode_of(control, Mode::kOff), Mode::kOff);
  control.mode = LORETOKEN_MODE_FULL;
  EXPECT_EQ(mode_of(control, Mode::kHold), Mode::kHold);
}

}  // namespace
}  // namespace loretoken
