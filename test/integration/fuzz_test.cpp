// Generated programs give the same bytes under the shim, with a third of their memory, as on a plain card.
//
// Seeds per configuration: LT_FUZZ_SEEDS (default 250, 5 in sanitizer builds); four configurations make 1,000, the
// fifth, whose modes change, has 40 by default. Each is cut into shards, which are tests of their own and so run side
// by side.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <random>
#include <sstream>
#include <thread>

#include "child.h"
#include "control_writer.h"

namespace lt {
namespace {

// Holds what one launch can reach beside the shim's own chunks; the programs keep three times as much alive.
constexpr int kLimitMib = 36;
constexpr int kLiveMib = 3 * kLimitMib;
constexpr int kShards = 5;
constexpr int kSilenceSeconds = LT_SANITIZED ? 300 : 60;  // of a seed that hangs

int seeds(int usual) {
  if (const char* given = std::getenv("LT_FUZZ_SEEDS")) return std::atoi(given);
  return LT_SANITIZED ? 5 : usual;
}

Environment shim() {
  return under_shim("1GiB", std::to_string(kLimitMib) + "MiB", "1GiB");
}

// What was said last says most.
std::string end_of(const std::string& text) {
  return text.substr(text.size() - std::min<size_t>(text.size(), 4000));
}

std::vector<std::string> program(int first, int count) {
  return {built("bin/lt_fuzz"),
          "--kernels",
          built("lib/sim/lt_fuzz_kernels_sim.so"),
          "--first",
          std::to_string(first),
          "--last",
          std::to_string(first + count - 1),
          "--steps",
          "12",
          "--live-mib",
          std::to_string(kLiveMib),
          "--threads",
          "2"};
}

// "did mix 12 thin 3 …": every kind of step must have been done. Needs some seeds to be certain.
void expect_all_kinds(const std::string& line, int count) {
  std::istringstream words(line);
  std::string kind;
  words >> kind;
  ASSERT_EQ(kind, "did");
  for (int done = 0; words >> kind >> done;) {
    EXPECT_TRUE(done > 0 || count < 50) << "no step of kind " << kind << " in " << count << " seeds";
  }
}

class GeneratedPrograms : public ::testing::TestWithParam<int> {
 protected:
  static void compare(int base, Environment environment, const std::string& jitter, int usual_seeds = 250) {
    const int count = (seeds(usual_seeds) + kShards - 1) / kShards;
    const int first = base + GetParam() * count;
    Environment plain = simulator("1GiB");
    plain["LORETOKEN_SIM_JITTER"] = "0";
    environment["LORETOKEN_SIM_JITTER"] = jitter;
    environment["LORETOKEN_SIM_SEED"] = std::to_string(first);
    const Outcome expected = run(program(first, count), plain, kSilenceSeconds);
    const auto want = expected.lines();
    ASSERT_EQ(want.size(), static_cast<size_t>(count + 1))
        << "the plain run ended in seed " << first + want.size() << " with status " << expected.status << "\n"
        << expected.err.substr(0, 4000);
    const Outcome actual = run(program(first, count), environment, kSilenceSeconds);
    const auto have = actual.lines();
    for (size_t i = 0; i < have.size(); ++i) ASSERT_EQ(have[i], want[i]) << "run with --first " << first;
    ASSERT_EQ(have.size(), want.size()) << "ended in seed " << first + have.size() << " with status " << actual.status
                                        << ", run with --first " << first << "\n"
                                        << end_of(actual.err);
    EXPECT_EQ(actual.status, 0) << end_of(actual.err);
    expect_all_kinds(want.back(), count);
  }
};

TEST_P(GeneratedPrograms, KeepEveryByteAtAThirdOfTheirMemory) {
  compare(1, shim(), "20");
}

TEST_P(GeneratedPrograms, KeepEveryByteUnderLongDelays) {
  compare(10001, shim(), "60");
}

TEST_P(GeneratedPrograms, KeepEveryByteWithStrictPointerSafety) {
  Environment environment = shim();
  environment["LORETOKEN_POINTERS"] = "strict";
  compare(20001, environment, "20");
}

TEST_P(GeneratedPrograms, TouchNothingOutsideTheirReachSets) {
  Environment environment = shim();
  environment["LORETOKEN_CHECK"] = "strict";
  compare(30001, environment, "5");
}

// Modes, policy and limits at random, a new block every few milliseconds, for as long as it lives.
class RestlessAgent {
 public:
  RestlessAgent(const std::string& path, uint32_t seed) : control_(path, first_card()), random_(seed) {
    thread_ = std::thread([this] {
      while (!done_) {
        change();
        std::this_thread::sleep_for(std::chrono::milliseconds(pick(12)));
      }
    });
  }
  ~RestlessAgent() {
    done_ = true;
    thread_.join();
  }
  RestlessAgent(const RestlessAgent&) = delete;
  RestlessAgent& operator=(const RestlessAgent&) = delete;

 private:
  uint32_t pick(uint32_t count) { return static_cast<uint32_t>(random_() % count); }

  void change() {
    loretoken_control& block = control_.block;
    block.policy_generation++;
    block.mode = pick(3);
    block.verify = pick(2);  // never off: the card of this test is in order, but not by assumption
    block.codecs = pick(3) == 0 ? 0 : pick(64);
    block.max_penalty_permille = pick(4) == 0 ? 1 + pick(200) : 0;
    block.penalty_window_ms = 10 + pick(100);
    block.pointer_safety = pick(3);
    block.heartbeat_ns = pick(3) == 0 ? 0 : ControlWriter::now_ns();
    loretoken_control_device& device = control_.device();
    device.limit = (kLimitMib + pick(24)) << 20;
    device.verdict_guard = pick(3) == 0 ? LORETOKEN_GUARD_THERMAL : 0;
    device.verdict_mode = pick(3);
    device.verdict_backoff = pick(4);
    control_.write();
  }

  ControlWriter control_;
  std::minstd_rand random_;
  std::atomic<bool> done_{false};
  std::thread thread_;
};

TEST_P(GeneratedPrograms, KeepEveryByteWhileModesAndLimitsChange) {
  const std::string path = "/tmp/loretoken-restless-" + std::to_string(getpid()) + ".control";
  const RestlessAgent agent(path, static_cast<uint32_t>(1 + GetParam()));
  Environment environment = shim();
  environment["LORETOKEN_CONTROL"] = path;
  environment["LORETOKEN_GUARD_PAUSE"] = "10";
  compare(40001, environment, "20", 40);
}

INSTANTIATE_TEST_SUITE_P(, GeneratedPrograms, ::testing::Range(0, kShards));

}  // namespace
}  // namespace lt
