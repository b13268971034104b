// Nothing is lost: raw bytes go only when their blob was seen to decode to them; what is damaged at rest is found, told
// once and answered as set.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "child.h"
#include "loretoken/abi.h"

namespace lt {
namespace {

// Blobs begin with magic, version and element type; 8 KiB behind lies the first block's payload.
constexpr const char* kDamagePacked = "flip_behind=1:device:4c544b420100:8192";
// So long that the launch which needs the bytes is over before they are seen to be wrong.
constexpr const char* kSlowUnpack = "lt_unpack:200000";
constexpr const char* kDamageOnHost = "flip_behind=1:host:4c544b420100:8192";

class Integrity : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/loretoken-integrity-XXXXXX";
    close(mkstemp(name));
    control_ = name;
    telemetry_ = control_ + ".telemetry";
  }
  void TearDown() override {
    if (file_ != nullptr) munmap(const_cast<loretoken_telemetry*>(file_), sizeof *file_);
    unlink(control_.c_str());
    unlink(telemetry_.c_str());
  }

  // The scenario on plain CUDA, then under the shim while `rule` strikes. Null fields are not set.
  void run_both(const std::string& scenario, const char* rule, const Environment& more) {
    const std::vector<std::string> program{built("bin/lt_directed"), scenario, built("lib/sim/lt_fuzz_kernels_sim.so")};
    expected_ = run(program, simulator("1GiB"), 300);
    ASSERT_EQ(expected_.status, 0) << expected_.err;
    Environment shim = under_shim("1GiB", "48MiB", "1GiB");
    shim["LORETOKEN_TELEMETRY"] = telemetry_;
    if (rule != nullptr) {
      std::ofstream{control_};  // empty until the scenario writes the rule
      shim["LORETOKEN_SIM_CONTROL"] = control_;
      shim["LT_INJECT"] = rule;
      if (std::string(rule).find("device") != std::string::npos) {
        shim["LORETOKEN_HOST"] = "0";        // what is packed stays on the device
        shim["LORETOKEN_SIM_POISON"] = "0";  // what is unused packs too, so that it fits
      }
    }
    for (const auto& [variable, value] : more) shim[variable] = value;
    actual_ = run(program, shim, 300);
    const int fd = open(telemetry_.c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    void* mapped = mmap(nullptr, sizeof *file_, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    ASSERT_NE(mapped, MAP_FAILED);
    file_ = static_cast<const loretoken_telemetry*>(mapped);
    ASSERT_EQ(file_->rows[0].device, 0u);
  }

  const loretoken_row& row() const { return file_->rows[0]; }
  std::vector<loretoken_event> events() const {
    std::vector<loretoken_event> found;
    for (const loretoken_event& event : file_->events) {
      if (event.number != 0) found.push_back(event);
    }
    return found;
  }
  // Each mismatch was counted and told once.
  void expect_one_event_each(uint64_t mismatches) const {
    EXPECT_GE(mismatches, 1u) << actual_.err;
    EXPECT_EQ(row().guard_events[LORETOKEN_GUARD_INTEGRITY], mismatches) << actual_.err;
    ASSERT_EQ(events().size(), mismatches) << actual_.err;
    for (const loretoken_event& event : events()) {
      EXPECT_EQ(event.guard, LORETOKEN_GUARD_INTEGRITY);
      EXPECT_GE(event.figure, 1u);
      EXPECT_EQ(event.limit, 1u);
      EXPECT_NE(std::string(event.text), "");
    }
  }
  uint64_t mode_changes() const {
    uint64_t changes = 0;
    for (const loretoken_event& event : events()) changes += event.from_mode != event.to_mode;
    return changes;
  }

  std::string control_;
  std::string telemetry_;
  const loretoken_telemetry* file_ = nullptr;
  Outcome expected_;
  Outcome actual_;
};

size_t count_of(const std::string& what, const std::string& text) {
  size_t count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

TEST_F(Integrity, ABlobThatDoesNotDecodeToItsBytesIsNotTaken) {
  run_both("keep_all", nullptr, {{"LORETOKEN_KERNELS", built("lib/sim/lt_wrong_kernels_sim.so")}});
  EXPECT_EQ(actual_.status, 0) << actual_.err;
  EXPECT_EQ(actual_.out, expected_.out) << actual_.err;
  EXPECT_NE(actual_.err.find("does not decode to its bytes"), std::string::npos) << actual_.err;
  EXPECT_GE(row().verify_failures, 1u);
  EXPECT_EQ(row().guard_events[LORETOKEN_GUARD_INTEGRITY], row().verify_failures);
}

// The raw bytes still exist, so nothing is lost even with `fail`.
TEST_F(Integrity, AKeptBlobThatWasDamagedIsBuiltAnewFromTheRawBytes) {
  run_both("damaged_kept", kDamagePacked, {});
  EXPECT_EQ(actual_.status, 0) << actual_.err;
  EXPECT_EQ(actual_.out, expected_.out) << actual_.err;
  EXPECT_NE(actual_.err.find("a kept blob"), std::string::npos) << actual_.err;
  EXPECT_EQ(row().checksum_failures, 0u) << actual_.err;
  expect_one_event_each(row().verify_failures);
}

TEST_F(Integrity, AKeptBlobWithADamagedHeaderIsBuiltAnewToo) {
  run_both("damaged_kept", "flip_behind=1:device:4c544b420100:9", {});
  EXPECT_EQ(actual_.status, 0) << actual_.err;
  EXPECT_EQ(actual_.out, expected_.out) << actual_.err;
  expect_one_event_each(row().verify_failures);
}

// By the copy of what was computed from the damaged bytes, once, and by every operation that reaches those.
TEST_F(Integrity, DamageAtRestFailsTheCallsThatSeeIt) {
  run_both("damaged_packed", kDamagePacked, {{"LORETOKEN_INTEGRITY", "fail"}, {"LORETOKEN_SIM_SLOW", kSlowUnpack}});
  EXPECT_EQ(actual_.status, 1) << actual_.err;
  EXPECT_EQ(count_of("cuMemcpyDtoH returned 214", actual_.err), 2u) << actual_.err;
  EXPECT_EQ(count_of(" returned ", actual_.err), 2u) << actual_.err;
  ASSERT_EQ(actual_.lines().size(), 3u);
  EXPECT_EQ(actual_.lines()[2], expected_.lines()[2]) << "other content at the damaged place";
  expect_one_event_each(row().checksum_failures);
  EXPECT_EQ(mode_changes(), 0u);
}

// A program that copied asynchronously reads its results behind any of these.
TEST_F(Integrity, WhoeverWaitsForTheGpuIsTold) {
  for (const auto& [how, call] : {std::pair{"context", "cuCtxSynchronize"},
                                  {"stream", "cuStreamSynchronize"},
                                  {"stream query", "cuStreamQuery"},
                                  {"event", "cuEventSynchronize"},
                                  {"event query", "cuEventQuery"}}) {
    SCOPED_TRACE(how);
    run_both("damaged_packed", kDamagePacked,
             {{"LORETOKEN_INTEGRITY", "fail"}, {"LT_WAIT", how}, {"LORETOKEN_SIM_SLOW", kSlowUnpack}});
    EXPECT_EQ(count_of(std::string(call) + " returned 214", actual_.err), 1u) << actual_.err;
    EXPECT_EQ(count_of("cuMemcpyDtoH returned 214", actual_.err), 1u) << actual_.err;
    EXPECT_EQ(count_of(" returned ", actual_.err), 2u) << actual_.err;
    expect_one_event_each(row().checksum_failures);
    unlink(telemetry_.c_str());
  }
}

TEST_F(Integrity, WhatTheDriverRefusedToUnpackIsStillThere) {
  run_both("unpack_refused", "fail=cuLaunchKernel:1+:701", {{"LORETOKEN_INTEGRITY", "fail"}});
  EXPECT_EQ(count_of("cuMemcpyDtoH returned 701", actual_.err), 1u) << actual_.err;
  EXPECT_EQ(count_of(" returned ", actual_.err), 1u) << actual_.err;
  ASSERT_EQ(actual_.lines().size(), 2u);
  EXPECT_EQ(actual_.lines()[1], expected_.lines()[1]);
  EXPECT_EQ(row().checksum_failures, 0u);
  EXPECT_EQ(events().size(), 0u);
}

TEST_F(Integrity, DamageOnTheHostFailsTheCallsThatSeeIt) {
  run_both("damaged_host", kDamageOnHost, {{"LORETOKEN_INTEGRITY", "fail"}, {"LORETOKEN_SIM_SLOW", kSlowUnpack}});
  EXPECT_EQ(actual_.status, 1) << actual_.err;
  EXPECT_EQ(count_of("cuMemcpyDtoH returned 214", actual_.err), 2u) << actual_.err;
  EXPECT_GE(row().fetches, 1u);
  expect_one_event_each(row().checksum_failures);
}

TEST_F(Integrity, DamageIsOnlyToldWhenSoSet) {
  run_both("damaged_packed", kDamagePacked, {{"LORETOKEN_INTEGRITY", "log"}});
  EXPECT_EQ(actual_.status, 0) << actual_.err;
  EXPECT_NE(actual_.out, expected_.out) << "nothing was damaged";
  expect_one_event_each(row().checksum_failures);
  EXPECT_EQ(mode_changes(), 0u);
  EXPECT_EQ(row().mode, LORETOKEN_MODE_FULL);
}

TEST_F(Integrity, BelowTheThresholdDamageIsOnlyTold) {
  run_both("damaged_packed", kDamagePacked,
           {{"LORETOKEN_INTEGRITY", "fail"}, {"LORETOKEN_INTEGRITY_THRESHOLD", "1000"}});
  EXPECT_EQ(actual_.status, 0) << actual_.err;
  EXPECT_NE(actual_.out, expected_.out) << "nothing was damaged";
  ASSERT_GE(events().size(), 1u);
  EXPECT_EQ(events()[0].limit, 1000u);
}

TEST_F(Integrity, DamageTurnsCompressionOffForGoodWhenSoSet) {
  for (const auto& [scenario, rule] :
       {std::pair{"damaged_packed", kDamagePacked}, std::pair{"damaged_host", kDamageOnHost}}) {
    SCOPED_TRACE(scenario);
    run_both(scenario, rule, {{"LORETOKEN_INTEGRITY", "passthrough"}});
    EXPECT_EQ(actual_.status, 0) << actual_.err;
    expect_one_event_each(row().checksum_failures);
    EXPECT_EQ(mode_changes(), 1u);
    EXPECT_EQ(row().mode, LORETOKEN_MODE_OFF);
    EXPECT_EQ(row().mode_guard, LORETOKEN_GUARD_INTEGRITY);
    unlink(telemetry_.c_str());
  }
}

// Mode off; what does not fit is still moved, but no codec is trusted with it any more.
TEST_F(Integrity, ACodecThatIsWrongIsNotUsedOnceCompressionIsOff) {
  run_both("keep_all", nullptr,
           {{"LORETOKEN_KERNELS", built("lib/sim/lt_wrong_kernels_sim.so")}, {"LORETOKEN_INTEGRITY", "passthrough"}});
  EXPECT_EQ(actual_.status, 0) << actual_.err;
  EXPECT_EQ(actual_.out, expected_.out) << actual_.err;
  EXPECT_EQ(row().mode, LORETOKEN_MODE_OFF);
  EXPECT_EQ(mode_changes(), 1u);
}

}  // namespace
}  // namespace lt
