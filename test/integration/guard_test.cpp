// Guardrails of a running program: the shim acts, what it was promised stays, and each change of mode is one event.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <sstream>

#include "control_writer.h"
#include "watched_run.h"

namespace lt {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

class Guard : public testing::Test {
 protected:
  void SetUp() override {
    environment_["LORETOKEN_CONTROL"] = control_.path();
    environment_["LORETOKEN_GUARD_PAUSE"] = "10";
    environment_["LORETOKEN_SIM_CONTROL"] = injected_;
    inject("");
  }
  void TearDown() override {
    unlink(injected_.c_str());
    unlink(enough_.c_str());
  }

  // Lines of test/sim/inject/inject.h, from now on.
  void inject(const std::string& lines) {
    const std::string next = injected_ + ".next";
    std::ofstream(next) << lines << "\n";
    ASSERT_EQ(std::rename(next.c_str(), injected_.c_str()), 0);
  }
  // Starts the program; it goes round until the test has seen enough.
  void start() {
    environment_["LT_ROUNDS"] = "1000";
    environment_["LT_UNTIL"] = enough_;
    run_ = std::make_unique<WatchedRun>(program_, environment_);
  }
  void expect_same_bits() {
    std::ofstream(enough_) << "seen enough";
    ASSERT_EQ(run_->outcome().status, 0) << run_->outcome().err;
    ASSERT_FALSE(run_->outcome().lines().empty());
    Environment plain = simulator("1GiB");
    plain["LT_ROUNDS"] = run_->outcome().lines().front();
    const Outcome expected = run(program_, plain, 300);
    ASSERT_EQ(expected.status, 0) << expected.err;
    EXPECT_EQ(run_->outcome().out, expected.out) << run_->outcome().err;
  }
  std::string told() {
    std::ostringstream text;
    for (const loretoken_event& event : run_->telemetry.events()) {
      text << "guard " << event.guard << " mode " << event.from_mode << " to " << event.to_mode << " figure "
           << event.figure << " limit " << event.limit << ": " << event.text << "\n";
    }
    return text.str();
  }
  std::vector<loretoken_event> changes_of(uint32_t guard) { return of_guard(run_->telemetry.events(), guard); }

  const std::string enough_ = "/tmp/loretoken-guard-" + std::to_string(getpid()) + ".enough";
  const std::string injected_ = "/tmp/loretoken-guard-" + std::to_string(getpid()) + ".inject";
  ControlWriter control_{"/tmp/loretoken-guard-" + std::to_string(getpid()) + ".control", first_card()};
  Environment environment_ = under_shim("1GiB", "36MiB", "1GiB");
  const std::vector<std::string> program_{built("bin/lt_directed"), "cycle", built("lib/sim/lt_fuzz_kernels_sim.so")};
  std::unique_ptr<WatchedRun> run_;
};

TEST_F(Guard, HoldPacksOnlyWhatWasPromised) {
  control_.block.mode = LORETOKEN_MODE_HOLD;
  control_.write();
  start();
  EXPECT_TRUE(run_->wait_for([](const loretoken_row& row) { return row.forced_packs > 20; }));
  expect_same_bits();
  const loretoken_row row = run_->telemetry.row();
  EXPECT_EQ(row.mode, LORETOKEN_MODE_HOLD);
  // The first look of the guard may come after the first packs.
  EXPECT_GE(row.forced_packs + 20, row.packs);
}

TEST_F(Guard, OffBringsBackWhatThereIsRoomFor) {
  start();
  ASSERT_TRUE(run_->wait_for([](const loretoken_row& row) { return row.packs > 20; }));
  control_.block.mode = LORETOKEN_MODE_OFF;
  control_.device().limit = 256 * kMiB;
  control_.write();
  EXPECT_TRUE(run_->wait_for([](const loretoken_row& row) {
    return row.mode == LORETOKEN_MODE_OFF && row.packed_logical == 0 && row.host_logical == 0;
  })) << run_->telemetry.row().packed_logical;
  const uint64_t packs = run_->telemetry.row().packs;
  expect_same_bits();
  EXPECT_EQ(run_->telemetry.row().packs, packs);
  const auto events = changes_of(0);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].from_mode, LORETOKEN_MODE_FULL);
  EXPECT_EQ(events[0].to_mode, LORETOKEN_MODE_OFF);
}

TEST_F(Guard, ALoweredLimitIsReached) {
  control_.device().limit = 96 * kMiB;
  control_.write();
  start();
  ASSERT_TRUE(run_->wait_for([](const loretoken_row& row) { return row.held_bytes > 80 * kMiB; }));
  control_.device().limit = 40 * kMiB;
  control_.write();
  EXPECT_TRUE(run_->wait_for([](const loretoken_row& row) {
    return row.limit == 40 * kMiB && row.held_bytes <= 40 * kMiB;
  })) << run_->telemetry.row().held_bytes;
  expect_same_bits();
}

TEST_F(Guard, AnAgentsVerdictIsOneEventWithItsFiguresAndEndsWithTheAgent) {
  start();
  ASSERT_TRUE(run_->wait_for([](const loretoken_row& row) { return row.packs > 10; }));
  control_.device().verdict_mode = LORETOKEN_MODE_HOLD;
  control_.device().verdict_guard = LORETOKEN_GUARD_THERMAL;
  control_.device().verdict_figure = 91'000;
  control_.device().verdict_limit = 85'000;
  control_.block.heartbeat_ns = ControlWriter::now_ns();
  control_.write();
  EXPECT_TRUE(run_->wait_for([](const loretoken_row& row) { return row.mode == LORETOKEN_MODE_HOLD; }));
  EXPECT_EQ(run_->telemetry.row().mode_guard, LORETOKEN_GUARD_THERMAL);
  control_.block.heartbeat_ns = 1;  // long ago
  control_.write();
  EXPECT_TRUE(run_->wait_for([](const loretoken_row& row) { return row.mode == LORETOKEN_MODE_FULL; }));
  expect_same_bits();
  const auto events = changes_of(LORETOKEN_GUARD_THERMAL);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].to_mode, LORETOKEN_MODE_HOLD);
  EXPECT_EQ(events[0].figure, 91'000u);
  EXPECT_EQ(events[0].limit, 85'000u);
  EXPECT_EQ(events[1].to_mode, LORETOKEN_MODE_FULL);
}

TEST_F(Guard, WithoutAnAgentTheShimSeesHeatItself) {
  environment_["LORETOKEN_MAX_TEMPERATURE"] = "85";
  inject("temperature=91");
  start();
  EXPECT_TRUE(run_->wait_for([](const loretoken_row& row) { return row.backoff == 1; }));
  expect_same_bits();
  const auto events = changes_of(LORETOKEN_GUARD_THERMAL);
  ASSERT_GE(events.size(), 1u);
  EXPECT_EQ(events[0].figure, 91'000u);
  EXPECT_EQ(events[0].limit, 85'000u);
}

TEST_F(Guard, AFaultOfTheDevicePutsPackingOff) {
  start();
  ASSERT_TRUE(run_->wait_for([](const loretoken_row& row) { return row.packs > 10; }));
  inject("xid=79");
  EXPECT_TRUE(run_->wait_for([](const loretoken_row& row) { return row.mode == LORETOKEN_MODE_HOLD; }));
  expect_same_bits();
  const auto events = changes_of(LORETOKEN_GUARD_DEVICE);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].figure, 79u);
}

TEST_F(Guard, WhatCostsTooMuchWaitingIsLeftRawThenHeldAndComesBack) {
  inject("slow=lt_unpack:3000");
  start();
  ASSERT_TRUE(run_->wait_for([](const loretoken_row& row) { return row.unpacks + row.fetches > 50; }));
  control_.block.max_penalty_permille = 50;
  control_.block.penalty_window_ms = 100;
  control_.write();
  EXPECT_TRUE(run_->wait_for([](const loretoken_row& row) { return row.pins[9] != 0; }));
  EXPECT_TRUE(run_->wait_for([](const loretoken_row& row) { return row.mode == LORETOKEN_MODE_HOLD; })) << told();
  inject("");
  control_.device().limit = 512 * kMiB;
  control_.write();
  EXPECT_TRUE(run_->wait_for([](const loretoken_row& row) {
    return row.mode == LORETOKEN_MODE_FULL && row.pins[9] == 0;
  })) << told();
  expect_same_bits();
  uint32_t mode = LORETOKEN_MODE_FULL;
  for (const loretoken_event& event : changes_of(LORETOKEN_GUARD_PENALTY)) {
    EXPECT_EQ(event.from_mode, mode);
    EXPECT_EQ(event.limit, 50u);
    mode = event.to_mode;
  }
  EXPECT_EQ(mode, LORETOKEN_MODE_FULL);
}

TEST_F(Guard, WhatCannotBeHeldIsOneEventAndAnErrorOfTheCall) {
  environment_["LORETOKEN_HOST"] = "0";
  control_.block.codecs = 1;  // raw alone: nothing shrinks
  control_.write();
  start();
  EXPECT_NE(run_->outcome().status, 0);
  const auto events = changes_of(LORETOKEN_GUARD_MEMORY);
  ASSERT_GE(events.size(), 1u);
  EXPECT_EQ(events[0].from_mode, events[0].to_mode);
  EXPECT_GT(events[0].figure, 0u);
}

}  // namespace
}  // namespace lt
