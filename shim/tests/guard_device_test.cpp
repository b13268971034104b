// Heat, power and faults of the simulated card against the limits, and what becomes of the mode.
#include "guard_device_fixture.h"

namespace loretoken {
namespace {

TEST_F(GuardDevice, HeatIsAnsweredBySteps) {
  limits(85'000, 0, 0);
  look();
  EXPECT_EQ(arbiter.backoff(), 0u);
  inject("temperature=90\n");
  look();
  EXPECT_EQ(arbiter.mode(), Mode::kFull);
  EXPECT_EQ(arbiter.backoff(), 1u);
  look(10);
  EXPECT_EQ(arbiter.mode(), Mode::kHold);
  EXPECT_EQ(arbiter.decided_by(), LORETOKEN_GUARD_THERMAL);
  look(10);
  EXPECT_EQ(arbiter.mode(), Mode::kOff);
  inject("temperature=60\n");
  look(31);
  EXPECT_EQ(arbiter.mode(), Mode::kHold);
  look(60);
  EXPECT_EQ(arbiter.mode(), Mode::kFull);
  EXPECT_EQ(arbiter.backoff(), 0u);
}

TEST_F(GuardDevice, TheMarginToSlowdownIsALimitToo) {
  limits(-5000, 0, 0);
  inject("temperature=88\ntemperature_margin=5\n");
  look();
  EXPECT_EQ(arbiter.backoff(), 0u);
  inject("temperature=89\ntemperature_margin=4\n");
  const std::string log = logged_by_looks(1);
  EXPECT_EQ(arbiter.backoff(), 1u);
  EXPECT_NE(log.find("GPU over its temperature limit (89000, limit 88000)"), std::string::npos) << log;
}

TEST_F(GuardDevice, PowerIsAShareOfTheEnforcedLimitOrWatts) {
  limits(0, 0, 900);
  inject("power_watts=620\n");
  look();
  EXPECT_EQ(arbiter.backoff(), 0u);
  limits(0, 600'000, 0);
  look(11);
  EXPECT_EQ(arbiter.mode(), Mode::kHold);
  EXPECT_EQ(arbiter.decided_by(), LORETOKEN_GUARD_POWER);
  limits(0, 0, 0);
  look();
  EXPECT_EQ(arbiter.mode(), Mode::kFull) << "without a limit nothing is held back";
  EXPECT_EQ(arbiter.backoff(), 0u);
  limits(0, 600'000, 0);
  look();
  EXPECT_EQ(arbiter.mode(), Mode::kFull) << "a new limit begins with the first step";
  EXPECT_EQ(arbiter.backoff(), 1u);
}

TEST_F(GuardDevice, TheCardsOwnSlowdownCountsWhereALimitIsSet) {
  inject("throttle=0xe0\n");
  look(30);
  EXPECT_EQ(arbiter.backoff(), 0u) << "no limit is set";
  limits(200'000, 0, 0);
  look();
  EXPECT_EQ(arbiter.backoff(), 1u);
  limits(0, 0, 2000);
  look();
  EXPECT_EQ(arbiter.backoff(), 1u) << "the power brake";
  inject("throttle=0x4\n");
  look(31);
  EXPECT_EQ(arbiter.backoff(), 0u) << "a busy card's power cap";
}

TEST_F(GuardDevice, ANewLimitActsAtTheNextLook) {
  limits(85'000, 0, 0);
  inject("temperature=70\n");
  look();
  EXPECT_EQ(arbiter.backoff(), 0u);
  limits(65'000, 0, 0);
  look();
  EXPECT_EQ(arbiter.backoff(), 1u);
}

TEST_F(GuardDevice, AFaultHoldsForTheRestOfTheProcess) {
  look();
  inject("xid=79:0:1\n");
  const std::string log = logged_by_looks(1);
  EXPECT_EQ(arbiter.mode(), Mode::kHold);
  EXPECT_EQ(arbiter.decided_by(), LORETOKEN_GUARD_DEVICE);
  EXPECT_NE(log.find("the GPU reported a fault (XID) (79, limit 0)"), std::string::npos) << log;
  inject("");
  look(4000);
  EXPECT_EQ(arbiter.mode(), Mode::kHold);
}

TEST_F(GuardDevice, XidsOfProgramsAndOfOtherCardsAreNoFaults) {
  look();
  inject("xid=13:0:2\nxid=31:0:2\nxid=43:0:2\nxid=45:0:2\nxid=68:0:2\nxid=109:0:2\nxid=79:1:2\n");
  look();
  EXPECT_EQ(arbiter.mode(), Mode::kFull);
  inject("xid=31:0:3\nxid=48:0:3\n");
  look();
  EXPECT_EQ(arbiter.mode(), Mode::kHold) << "behind one of a program's";
}

TEST_F(GuardDevice, AStormOfXidsIsReadOnOverTheLooks) {
  look();
  std::string lines;
  for (int i = 0; i < 100; ++i) lines += "xid=31:0:" + std::to_string(1000 + i) + "\n";
  inject(lines + "xid=79:0:1000\n");
  look();
  EXPECT_EQ(arbiter.mode(), Mode::kFull) << "a look reads so many, then the thread has other things to do";
  look();
  EXPECT_EQ(arbiter.mode(), Mode::kHold);
}

TEST_F(GuardDevice, MemoryErrorsOfBeforeDoNotCountButNewOnesDo) {
  inject("ecc_errors=2\n");
  look(2);
  EXPECT_EQ(arbiter.mode(), Mode::kFull);
  inject("ecc_errors=3\n");
  const std::string log = logged_by_looks(1);
  EXPECT_EQ(arbiter.mode(), Mode::kHold);
  EXPECT_NE(log.find("uncorrected errors in the GPU's memory (ECC): 3 (0, limit 0)"), std::string::npos) << log;
}

TEST_F(GuardDevice, MemoryErrorsAreSeenWithoutEventsAndWithoutTheCounter) {
  table().nvmlEventSetWait_v2 = nullptr;
  look();
  inject("ecc_errors=1\n");
  look();
  EXPECT_EQ(arbiter.mode(), Mode::kHold);

  table() = nvml();
  table().nvmlDeviceGetTotalEccErrors = nullptr;
  Arbiter second(0, Mode::kFull);
  NvmlLibrary again(found);
  DeviceGuard by_events(0, second, again);
  by_events.look(kSecond);
  inject("ecc_errors=2\n");
  testing::internal::CaptureStderr();
  by_events.look(2 * kSecond);
  EXPECT_EQ(second.mode(), Mode::kHold);
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("uncorrected errors in the GPU's memory (ECC)"), std::string::npos) << log;
}

TEST_F(GuardDevice, ALostCardIsAFaultAndKeepsWhatHeld) {
  limits(0, 0, 100);
  look(21);
  EXPECT_EQ(arbiter.mode(), Mode::kOff);
  table().nvmlDeviceGetPowerUsage = [](nvmlDevice_t, unsigned*) { return NVML_ERROR_GPU_IS_LOST; };
  look(100);
  EXPECT_EQ(arbiter.mode(), Mode::kOff) << "no figure is not calm";
  EXPECT_EQ(arbiter.decided_by(), LORETOKEN_GUARD_POWER);
  limits(0, 0, 0);
  look();
  EXPECT_EQ(arbiter.mode(), Mode::kHold);
  EXPECT_EQ(arbiter.decided_by(), LORETOKEN_GUARD_DEVICE);
}

TEST_F(GuardDevice, AnAgentsVotesAreLeftAloneWhileItLooksAfterTheCard) {
  limits(50'000, 0, 0);
  inject("temperature=60\n");
  look(11);
  inject("temperature=60\nxid=79:0:4\n");
  look();
  EXPECT_EQ(arbiter.mode(), Mode::kHold);
  guard.rest();
  EXPECT_EQ(arbiter.mode(), Mode::kFull);
  EXPECT_EQ(arbiter.backoff(), 0u);
  Vote agents;
  agents.mode = Mode::kOff;
  arbiter.vote(LORETOKEN_GUARD_THERMAL, agents);
  guard.rest();
  EXPECT_EQ(arbiter.mode(), Mode::kOff);
  limits(0, 0, 0);
  look();
  EXPECT_EQ(arbiter.mode(), Mode::kHold) << "the agent is gone: its vote with it, and the fault is remembered";
  EXPECT_EQ(arbiter.decided_by(), LORETOKEN_GUARD_DEVICE);
}

}  // namespace
}  // namespace loretoken
