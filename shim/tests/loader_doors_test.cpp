// The loader as programs meet it: children under LD_PRELOAD on the simulator. Named after what broke for others.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace {

struct Outcome {
  int status = -1;  // exit status; 1000 + signal number if it was killed
  std::string output;
};

std::string folder_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

Outcome run(std::vector<std::string> command, const std::vector<std::string>& environment, int seconds = 60) {
  int output[2];
  if (pipe(output) != 0) return {};
  const pid_t child = fork();
  if (child == 0) {
    dup2(output[1], STDOUT_FILENO);
    dup2(output[1], STDERR_FILENO);
    close(output[0]);
    close(output[1]);
    alarm(static_cast<unsigned>(seconds));
    std::vector<char*> arguments;
    for (std::string& word : command) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    std::vector<std::string> settings = environment;
    std::vector<char*> variables;
    for (std::string& setting : settings) variables.push_back(setting.data());
    variables.push_back(nullptr);
    execve(arguments[0], arguments.data(), variables.data());
    _exit(98);
  }
  close(output[1]);
  Outcome outcome;
  char text[4096];
  for (ssize_t got = 0; (got = read(output[0], text, sizeof text)) > 0;)
    outcome.output.append(text, static_cast<size_t>(got));
  close(output[0]);
  int status = 0;
  waitpid(child, &status, 0);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  return outcome;
}

std::vector<std::string> with_shim(std::vector<std::string> more = {}) {
  std::vector<std::string> environment = {
      "PATH=/usr/bin:/bin",
      "LD_LIBRARY_PATH=" + folder_of(LORETOKEN_SIM_DRIVER),
      std::string("LORETOKEN_KERNELS=") + LORETOKEN_SIM_KERNELS,
      "LORETOKEN_LIMIT=256MiB",
      "LORETOKEN_VIRTUAL=512MiB",
      std::string("LORETOKEN_SIM_STATE=") + getenv("LORETOKEN_SIM_STATE"),
      LORETOKEN_PRELOAD LORETOKEN_SHIM,
  };
  for (std::string& setting : more) {
    const std::string name = setting.substr(0, setting.find('=') + 1);
    std::erase_if(environment, [&](const std::string& other) { return other.starts_with(name); });
    environment.push_back(std::move(setting));
  }
  return environment;
}

void expect_good(std::vector<std::string> words, std::vector<std::string> more = {}) {
  words.insert(words.begin(), LORETOKEN_PROBE);
  const Outcome outcome = run(words, with_shim(std::move(more)));
  EXPECT_EQ(outcome.status, 0) << outcome.output;
}

TEST(Doors, ADlsymOfCudnnCreateIsNotCaught) {
  expect_good({"cudnn"});
}
TEST(Doors, DlsymGivesHooksAndLeavesTheRest) {
  expect_good({"dlsym"});
}
TEST(Doors, RepeatedLookupsReturnTheSameHook) {
  expect_good({"repeated"});
}
TEST(Doors, ProcAddressFlagsSelectPerThreadVariants) {
  expect_good({"per_thread"});
}
TEST(Doors, ProcAddressVersionSelectsGraphApiSignature) {
  expect_good({"versions"});
}
TEST(Doors, ProcAddressOfItselfIsHooked) {
  expect_good({"of_itself"});
}
TEST(Doors, NothingInitialisesInsideDlsym) {
  expect_good({"nothing_in_dlsym"});
}
TEST(Doors, ADriverLoadedLocallyIsFound) {
  expect_good({"local"});
}

// On the small driver of newer_driver.cpp.
Outcome on_newer_driver(const char* program) {
  return run({LORETOKEN_PROBE, program}, with_shim({"LD_LIBRARY_PATH=" + folder_of(LORETOKEN_NEWER_DRIVER)}));
}

TEST(Doors, ADriverThatLooksItselfUpGetsItself) {
  const Outcome outcome = on_newer_driver("self_lookup");
  EXPECT_EQ(outcome.status, 0) << outcome.output;
}

TEST(Doors, AFunctionNewerThanTheLibraryIsPassedOnAndStopsPacking) {
  const Outcome outcome = on_newer_driver("newer");
  EXPECT_EQ(outcome.status, 0) << outcome.output;
  const std::string warning = "cuMemFree for CUDA 20.0 is newer than this libloretoken.so";
  const size_t first = outcome.output.find(warning);
  EXPECT_NE(first, std::string::npos) << outcome.output;
  EXPECT_EQ(outcome.output.find(warning, first + 1), std::string::npos) << outcome.output;
}

TEST(Calls, MemGetInfoWithNullPasses) {
  expect_good({"null_info"});
}
TEST(Calls, MemoryQueriesOfDriverAndNvmlAgreeOnTheEnlargedCard) {
  expect_good({"enlarged"});
}
TEST(Calls, AResetContextLeavesPlainCuda) {
  expect_good({"context_reset"});
}

TEST(Calls, FreeOfUnknownPointerGetsTheDriversError) {
  std::vector<std::string> plain = with_shim();
  std::erase_if(plain, [](const std::string& setting) { return setting.starts_with("LD_PRELOAD="); });
  const Outcome without = run({LORETOKEN_PROBE, "unknown_free"}, plain);
  ASSERT_GT(without.status, 0) << without.output;
  ASSERT_LT(without.status, 98) << without.output;
  expect_good({"unknown_free", std::to_string(without.status)});
}

TEST(Fork, ForkedChildStartsClean) {
  expect_good({"forked"});
  expect_good({"forked_early"});
}

TEST(Shell, ShellWithoutLibcudaStarts) {
  const Outcome outcome =
      run({"/bin/sh", "-c", "echo started; exit 7"}, {"PATH=/usr/bin:/bin", LORETOKEN_PRELOAD LORETOKEN_SHIM});
  EXPECT_EQ(outcome.status, 7) << outcome.output;
  EXPECT_EQ(outcome.output, "started\n");
}

TEST(Shell, AProgramWithTheModeOffRunsOnPlainCuda) {
  const Outcome outcome = run({LORETOKEN_PROBE, "local"}, with_shim({"LORETOKEN_MODE=off"}));
  EXPECT_EQ(outcome.status, 1);
  EXPECT_NE(outcome.output.find("total == 512"), std::string::npos) << outcome.output;
}

TEST(Shell, MissingKernelsMeanPlainCudaAndAreNamed) {
  const Outcome outcome = run({LORETOKEN_PROBE, "local"}, with_shim({"LORETOKEN_KERNELS=/nowhere/kernels.fatbin"}));
  EXPECT_EQ(outcome.status, 1);
  EXPECT_NE(outcome.output.find("/nowhere/kernels.fatbin"), std::string::npos) << outcome.output;
  EXPECT_NE(outcome.output.find("runs on plain CUDA"), std::string::npos) << outcome.output;
}

TEST(Selftest, NamesDoorsAndHooks) {
  const Outcome outcome = run({LORETOKEN_PROBE, "selftest"}, with_shim());
  EXPECT_EQ(outcome.status, 0) << outcome.output;
  for (const char* part : {"\"driver\":true", "\"dlsym\":true", "\"cuGetProcAddress\":true", "\"linked\":true"}) {
    EXPECT_NE(outcome.output.find(part), std::string::npos) << part << " in " << outcome.output;
  }
}

}  // namespace
