// NVML that is not there, does not start, is old, or does not know the card.
#include <algorithm>

#include "driver/uuid.h"
#include "guard_device_fixture.h"

namespace loretoken {
namespace {

size_t lines_with(const std::string& log, const std::string& words) {
  size_t count = 0;
  for (size_t at = log.find(words); at != std::string::npos; at = log.find(words, at + 1)) ++count;
  return count;
}

TEST_F(GuardDevice, WithoutTheLibraryNothingIsKnownAndItIsLookedForOnceAMinute) {
  table() = Nvml();
  searches() = 0;
  const std::string log = logged_by_looks(150);
  EXPECT_EQ(searches(), 3);
  EXPECT_EQ(lines_with(log, "\n"), 1u) << log;
  EXPECT_EQ(lines_with(log, "info: no heat, power or faults of GPUs are known: libnvidia-ml.so.1 was not found"), 1u);
  EXPECT_EQ(arbiter.mode(), Mode::kFull);
  table() = nvml();
  limits(20'000, 0, 0);
  look(60);
  EXPECT_EQ(arbiter.decided_by(), LORETOKEN_GUARD_THERMAL) << "it was installed meanwhile";
}

TEST_F(GuardDevice, ALibraryThatDoesNotStartIsTriedAgain) {
  static int tries;
  tries = 0;
  table().nvmlInit_v2 = [] { return ++tries < 3 ? NVML_ERROR_DRIVER_NOT_LOADED : nvml().nvmlInit_v2(); };
  limits(20'000, 0, 0);
  const std::string log = logged_by_looks(119);
  EXPECT_EQ(tries, 2);
  EXPECT_EQ(lines_with(log, "nvmlInit_v2 gave 9"), 1u) << log;
  EXPECT_EQ(lines_with(log, "device 0: the limit of its temperature has no effect for now"), 1u) << log;
  look(2);
  EXPECT_EQ(tries, 3);
  EXPECT_EQ(arbiter.backoff(), 1u);
  look(200);
  EXPECT_EQ(tries, 3) << "started once";
}

TEST_F(GuardDevice, ALibraryWithoutItsStartIsAsNone) {
  table().nvmlInit_v2 = nullptr;
  const std::string log = logged_by_looks(3);
  EXPECT_EQ(lines_with(log, "libnvidia-ml.so.1 has no nvmlInit_v2"), 1u) << log;
}

TEST_F(GuardDevice, ACardThatNvmlDoesNotKnowIsLookedForOnceAMinute) {
  static int tries;
  tries = 0;
  table().nvmlDeviceGetHandleByUUID = [](const char*, nvmlDevice_t*) {
    ++tries;
    return NVML_ERROR_NOT_FOUND;
  };
  const std::string log = logged_by_looks(119);
  EXPECT_EQ(tries, 2);
  EXPECT_EQ(lines_with(log, "device 0: NVML does not know GPU-"), 1u) << log;
  EXPECT_EQ(lines_with(log, "\n"), 1u) << log;

  NvmlLibrary own(found);
  DeviceGuard absent(7, arbiter, own);
  absent.look(kSecond);
  EXPECT_EQ(arbiter.mode(), Mode::kFull);
}

TEST_F(GuardDevice, TheCardIsFoundByItsOwnUuid) {
  limits(50'000, 0, 0);
  inject("temperature=40\ntemperature.1=60\n");
  Arbiter second(1, Mode::kFull);
  DeviceGuard other(1, second, library);
  look();
  other.look(kSecond);
  EXPECT_EQ(arbiter.backoff(), 0u);
  EXPECT_EQ(second.backoff(), 1u);
}

TEST_F(GuardDevice, OldCardsMarginFollowsFromTheirThresholds) {
  table().nvmlDeviceGetMarginTemperature = nullptr;
  table().nvmlDeviceGetTemperatureThreshold = [](nvmlDevice_t, nvmlTemperatureThresholds_t threshold, unsigned* at) {
    *at = threshold == NVML_TEMPERATURE_THRESHOLD_SLOWDOWN ? 92 : 88;
    return NVML_SUCCESS;
  };
  limits(-5000, 0, 0);
  inject("temperature=83\n");
  look();
  EXPECT_EQ(arbiter.backoff(), 0u);
  inject("temperature=84\n");
  look();
  EXPECT_EQ(arbiter.backoff(), 1u);
}

TEST_F(GuardDevice, OldDriversReasonsHaveTheirOldName) {
  table().nvmlDeviceGetCurrentClocksEventReasons = nullptr;
  inject("throttle=0x40\n");
  limits(200'000, 0, 0);
  look();
  EXPECT_EQ(arbiter.backoff(), 1u);
}

TEST_F(GuardDevice, ALimitWhoseFigureIsNotToldIsSaidOnce) {
  table().nvmlDeviceGetPowerUsage = nullptr;
  table().nvmlDeviceGetMarginTemperature = nullptr;
  limits(-5000, 0, 900);
  inject("power_watts=690\ntemperature_margin=1\n");
  const std::string log = logged_by_looks(20);
  EXPECT_EQ(lines_with(log, "the limit of its temperature has no effect"), 1u) << log;
  EXPECT_EQ(lines_with(log, "the limit of its power has no effect"), 1u) << log;
  EXPECT_EQ(arbiter.backoff(), 0u);
}

TEST_F(GuardDevice, WithoutAnySensorFaultsAreSeenStill) {
  const Nvml all = nvml();
  table() = Nvml();
  table().handle = all.handle;
  table().nvmlInit_v2 = all.nvmlInit_v2;
  table().nvmlDeviceGetHandleByUUID = all.nvmlDeviceGetHandleByUUID;
  table().nvmlEventSetCreate = all.nvmlEventSetCreate;
  table().nvmlEventSetWait_v2 = all.nvmlEventSetWait_v2;
  table().nvmlDeviceGetSupportedEventTypes = all.nvmlDeviceGetSupportedEventTypes;
  table().nvmlDeviceRegisterEvents = all.nvmlDeviceRegisterEvents;
  limits(20'000, 0, 10);
  look(2);
  EXPECT_EQ(arbiter.backoff(), 0u);
  inject("xid=79:0:5\n");
  look();
  EXPECT_EQ(arbiter.mode(), Mode::kHold);
}

TEST_F(GuardDevice, ACardWithoutEventsIsSaidOnce) {
  table().nvmlDeviceRegisterEvents = nullptr;
  limits(20'000, 0, 0);
  const std::string log = logged_by_looks(100);
  EXPECT_EQ(lines_with(log, "NVML reports no faults (XID) of it here"), 1u) << log;
  EXPECT_EQ(arbiter.decided_by(), LORETOKEN_GUARD_THERMAL) << "heat is guarded all the same";
}

// The program ends NVML more often than it started it: the guard's own start is gone with it.
TEST_F(GuardDevice, AfterAShutdownTooManyItIsStartedAgain) {
  auto* shutdown = reinterpret_cast<nvmlReturn_t (*)()>(dlsym(nvml().handle, "nvmlShutdown"));
  ASSERT_NE(shutdown, nullptr);
  static int sets;
  sets = 0;
  table().nvmlEventSetCreate = [](nvmlEventSet_t* set) {
    ++sets;
    return nvml().nvmlEventSetCreate(set);
  };
  look(61);
  while (shutdown() == NVML_SUCCESS) {
  }
  look(2);
  EXPECT_EQ(sets, 2) << "the set of before is not valid any more";
  inject("xid=79:0:6\n");
  look();
  EXPECT_EQ(arbiter.mode(), Mode::kHold);
}

TEST_F(GuardDevice, UuidsReadAsNvmlWritesThem) {
  for (int ordinal = 0; ordinal < 2; ++ordinal) {
    char ours[kUuidText] = {};
    char theirs[kUuidText] = {};
    nvmlDevice_t device = nullptr;
    ASSERT_EQ(nvml().nvmlInit_v2(), NVML_SUCCESS);
    ASSERT_TRUE(uuid_text(ordinal, &ours));
    ASSERT_EQ(nvml().nvmlDeviceGetHandleByUUID(ours, &device), NVML_SUCCESS);
    ASSERT_EQ(nvml().nvmlDeviceGetUUID(device, theirs, sizeof theirs), NVML_SUCCESS);
    EXPECT_STREQ(ours, theirs);
  }
  char none[kUuidText];
  EXPECT_FALSE(uuid_text(2, &none));
}

}  // namespace
}  // namespace loretoken
