// Uses the library as an agent does: dlopen, dlsym, another process than the one that holds the memory.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>

#include "board.h"
#include "nvml_api.h"

namespace {

const std::string base_path = "/tmp/loretoken-nvml-test-" + std::to_string(getpid());

const bool environment_is_set = [] {
  setenv("LORETOKEN_SIM_STATE", (base_path + ".state").c_str(), 1);
  setenv("LORETOKEN_SIM_CONTROL", (base_path + ".control").c_str(), 1);
  setenv("LORETOKEN_SIM_DEVICES", "24GiB,1GiB", 1);
  std::atexit([] {
    unlink((base_path + ".state").c_str());
    unlink((base_path + ".control").c_str());
  });
  return true;
}();

void control(const std::string& text) {
  const std::string fresh = base_path + ".new";
  std::ofstream(fresh) << text;
  std::rename(fresh.c_str(), (base_path + ".control").c_str());
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
}

void* address_of(const char* name) {
  static void* library = dlopen(LORETOKEN_SIM_NVML, RTLD_NOW | RTLD_LOCAL);
  void* address = library ? dlsym(library, name) : nullptr;
  if (!address) std::fprintf(stderr, "%s: %s\n", name, dlerror());
  return address;
}

template <class... Args>
nvmlReturn_t call(const char* name, Args... args) {
  auto* function = reinterpret_cast<nvmlReturn_t (*)(Args...)>(address_of(name));
  return function ? function(args...) : NVML_ERROR_UNKNOWN;
}

class Nvml : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(call("nvmlInit_v2"), NVML_SUCCESS); }
  void TearDown() override {
    control("");
    EXPECT_EQ(call("nvmlShutdown"), NVML_SUCCESS);
  }
  nvmlDevice_t device(unsigned index) {
    nvmlDevice_t handle = nullptr;
    EXPECT_EQ(call("nvmlDeviceGetHandleByIndex_v2", index, &handle), NVML_SUCCESS);
    return handle;
  }
};

TEST(NvmlLifetime, EveryInitNeedsItsShutdown) {
  unsigned count = 0;
  EXPECT_EQ(call("nvmlDeviceGetCount_v2", &count), NVML_ERROR_UNINITIALIZED);
  EXPECT_EQ(call("nvmlInit_v2"), NVML_SUCCESS);
  EXPECT_EQ(call("nvmlInit"), NVML_SUCCESS);
  EXPECT_EQ(call("nvmlShutdown"), NVML_SUCCESS);
  EXPECT_EQ(call("nvmlDeviceGetCount_v2", &count), NVML_SUCCESS);
  EXPECT_EQ(count, 2u);
  EXPECT_EQ(call("nvmlShutdown"), NVML_SUCCESS);
  EXPECT_EQ(call("nvmlShutdown"), NVML_ERROR_UNINITIALIZED);
}

TEST_F(Nvml, DevicesAreFoundByIndexUuidAndBus) {
  char uuid[96] = {};
  ASSERT_EQ(call("nvmlDeviceGetUUID", device(1), &uuid[0], 96u), NVML_SUCCESS);
  EXPECT_EQ(std::strncmp(uuid, "GPU-", 4), 0);
  nvmlDevice_t found = nullptr;
  EXPECT_EQ(call("nvmlDeviceGetHandleByUUID", static_cast<const char*>(uuid), &found), NVML_SUCCESS);
  EXPECT_EQ(found, device(1));
  nvmlPciInfo_t pci{};
  ASSERT_EQ(call("nvmlDeviceGetPciInfo_v3", device(1), &pci), NVML_SUCCESS);
  EXPECT_STREQ(pci.busId, "00000000:02:00.0");
  found = nullptr;
  EXPECT_EQ(call("nvmlDeviceGetHandleByPciBusId_v2", static_cast<const char*>(pci.busIdLegacy), &found), NVML_SUCCESS);
  EXPECT_EQ(found, device(1));
  EXPECT_EQ(call("nvmlDeviceGetHandleByIndex_v2", 2u, &found), NVML_ERROR_INVALID_ARGUMENT);
  EXPECT_EQ(call("nvmlDeviceGetHandleByUUID", "GPU-0", &found), NVML_ERROR_NOT_FOUND);
  EXPECT_EQ(call("nvmlDeviceGetUUID", device(0), &uuid[0], 8u), NVML_ERROR_INSUFFICIENT_SIZE);
  EXPECT_EQ(call("nvmlDeviceGetUUID", reinterpret_cast<nvmlDevice_t>(&pci), &uuid[0], 96u),
            NVML_ERROR_INVALID_ARGUMENT);
}

// A process that holds memory until it is killed.
class Holder {
 public:
  explicit Holder(uint64_t bytes) {
    int ready[2];
    if (pipe(ready) != 0) return;
    pid_ = fork();
    char byte = 1;
    if (pid_ == 0) {
      loretoken::sim::board::publish_used(1, bytes);
      if (write(ready[1], &byte, 1) != 1) _exit(1);
      for (;;) pause();
    }
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
  }
  ~Holder() { stop(); }
  void stop() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  unsigned pid() const { return static_cast<unsigned>(pid_); }

 private:
  pid_t pid_ = 0;
};

TEST_F(Nvml, SeesMemoryAndProcessesOfOthersUntilTheyDie) {
  Holder holder(300u << 20);
  nvmlMemory_t memory{};
  ASSERT_EQ(call("nvmlDeviceGetMemoryInfo", device(1), &memory), NVML_SUCCESS);
  EXPECT_EQ(memory.total, 1ull << 30);
  EXPECT_EQ(memory.used, 300ull << 20);
  EXPECT_EQ(memory.free, memory.total - memory.used);
  unsigned count = 0;
  nvmlProcessInfo_v2_t processes[4] = {};
  EXPECT_EQ(call("nvmlDeviceGetComputeRunningProcesses_v3", device(1), &count, &processes[0]),
            NVML_ERROR_INSUFFICIENT_SIZE);
  EXPECT_EQ(count, 1u);
  count = 4;
  ASSERT_EQ(call("nvmlDeviceGetComputeRunningProcesses_v3", device(1), &count, &processes[0]), NVML_SUCCESS);
  ASSERT_EQ(count, 1u);
  EXPECT_EQ(processes[0].pid, holder.pid());
  EXPECT_EQ(processes[0].usedGpuMemory, 300ull << 20);
  holder.stop();
  ASSERT_EQ(call("nvmlDeviceGetMemoryInfo", device(1), &memory), NVML_SUCCESS);
  EXPECT_EQ(memory.used, 0u);
  count = 4;
  EXPECT_EQ(call("nvmlDeviceGetComputeRunningProcesses_v3", device(1), &count, &processes[0]), NVML_SUCCESS);
  EXPECT_EQ(count, 0u);
}

TEST_F(Nvml, VersionedStructuresMustNameTheirVersion) {
  nvmlMemory_v2_t memory{};
  EXPECT_EQ(call("nvmlDeviceGetMemoryInfo_v2", device(0), &memory), NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
  memory.version = NVML_STRUCT_VERSION(sizeof memory, 2u);
  EXPECT_EQ(call("nvmlDeviceGetMemoryInfo_v2", device(0), &memory), NVML_SUCCESS);
  EXPECT_EQ(memory.total, 24ull << 30);
}

TEST_F(Nvml, SensorsFollowTheControlFile) {
  control("temperature_margin=-3\npower_watts=650.5\nthrottle=0x20\npower_watts.1=90\n");
  nvmlMarginTemperature_v1_t margin{};
  margin.version = NVML_STRUCT_VERSION(sizeof margin, 1u);
  EXPECT_EQ(call("nvmlDeviceGetMarginTemperature", device(0), &margin), NVML_SUCCESS);
  EXPECT_EQ(margin.marginTemperature, -3);
  unsigned power = 0, mhz = 0, highest = 0;
  EXPECT_EQ(call("nvmlDeviceGetPowerUsage", device(0), &power), NVML_SUCCESS);
  EXPECT_EQ(power, 650500u);
  EXPECT_EQ(call("nvmlDeviceGetPowerUsage", device(1), &power), NVML_SUCCESS);
  EXPECT_EQ(power, 90000u);
  unsigned long long reasons = 0;
  EXPECT_EQ(call("nvmlDeviceGetCurrentClocksEventReasons", device(0), &reasons), NVML_SUCCESS);
  EXPECT_EQ(reasons, 0x20u);
  EXPECT_EQ(call("nvmlDeviceGetClockInfo", device(0), 1u, &mhz), NVML_SUCCESS);
  EXPECT_EQ(call("nvmlDeviceGetMaxClockInfo", device(0), 1u, &highest), NVML_SUCCESS);
  EXPECT_LT(mhz, highest);
  unsigned degrees = 0;
  EXPECT_EQ(call("nvmlDeviceGetTemperatureThreshold", device(0), 1, &degrees), NVML_ERROR_NOT_SUPPORTED);
  nvmlFieldValue_t field{};
  field.fieldId = NVML_FI_DEV_TEMPERATURE_SLOWDOWN_TLIMIT;
  EXPECT_EQ(call("nvmlDeviceGetFieldValues", device(0), 1, &field), NVML_SUCCESS);
  EXPECT_EQ(field.nvmlReturn, NVML_SUCCESS);
  EXPECT_EQ(field.value.siVal, -2);
}

TEST_F(Nvml, AnXidWakesTheWaiterOfItsDeviceOnly) {
  nvmlEventSet_t first = nullptr, second = nullptr;
  ASSERT_EQ(call("nvmlEventSetCreate", &first), NVML_SUCCESS);
  ASSERT_EQ(call("nvmlEventSetCreate", &second), NVML_SUCCESS);
  ASSERT_EQ(call("nvmlDeviceRegisterEvents", device(0), 8ull, first), NVML_SUCCESS);
  ASSERT_EQ(call("nvmlDeviceRegisterEvents", device(1), 8ull, second), NVML_SUCCESS);
  nvmlEventData_t event{};
  EXPECT_EQ(call("nvmlEventSetWait_v2", second, &event, 20u), NVML_ERROR_TIMEOUT);
  std::thread later([] { control("xid=79:1\n"); });
  EXPECT_EQ(call("nvmlEventSetWait_v2", second, &event, 5000u), NVML_SUCCESS);
  later.join();
  EXPECT_EQ(event.device, device(1));
  EXPECT_EQ(event.eventType, 8u);
  EXPECT_EQ(event.eventData, 79u);
  EXPECT_EQ(call("nvmlEventSetWait_v2", first, &event, 20u), NVML_ERROR_TIMEOUT);
  EXPECT_EQ(call("nvmlEventSetFree", first), NVML_SUCCESS);
  EXPECT_EQ(call("nvmlEventSetFree", second), NVML_SUCCESS);
  EXPECT_EQ(call("nvmlEventSetWait_v2", first, &event, 20u), NVML_ERROR_INVALID_ARGUMENT);
}

TEST_F(Nvml, MigIsOffAndEccIsOn) {
  unsigned current = 9, pending = 9;
  EXPECT_EQ(call("nvmlDeviceGetMigMode", device(0), &current, &pending), NVML_SUCCESS);
  EXPECT_EQ(current, 0u);
  EXPECT_EQ(call("nvmlDeviceGetEccMode", device(0), &current, &pending), NVML_SUCCESS);
  EXPECT_EQ(current, 1u);
  control("ecc_errors=3\n");
  unsigned long long errors = 0;
  EXPECT_EQ(call("nvmlDeviceGetTotalEccErrors", device(0), 1u, 0u, &errors), NVML_SUCCESS);
  EXPECT_EQ(errors, 3u);
}

TEST(NvmlLibrary, ExportsNvmlNamesOnly) {
  const std::string command =
      std::string("nm -D --defined-only ") + LORETOKEN_SIM_NVML + " | grep -v ' nvml' | grep -c ' T '";
  std::FILE* pipe = popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  int others = -1;
  ASSERT_EQ(std::fscanf(pipe, "%d", &others), 1);
  pclose(pipe);
  EXPECT_EQ(others, 0);
}

}  // namespace
