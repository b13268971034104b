#include "child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <sstream>

extern char** environ;

namespace lt {
namespace {

constexpr size_t kKept = size_t{4} << 20;  // of each output: a program that fails may complain without end

bool drain(int fd, std::string* into) {
  char buffer[65536];
  bool any = false;
  ssize_t n = 0;
  for (int i = 0; i < 64 && (n = read(fd, buffer, sizeof buffer)) > 0; ++i, any = true) {  // the writer may be faster
    if (into->size() < kKept) into->append(buffer, static_cast<size_t>(n));
  }
  return any;
}

}  // namespace

std::vector<std::string> Outcome::lines() const {
  std::vector<std::string> result;
  std::istringstream stream(out);
  for (std::string line; std::getline(stream, line);) result.push_back(line);
  return result;
}

std::string built(const std::string& path) {
  return std::string(LT_BUILD_DIR) + "/" + path;
}

Environment simulator(const std::string& memory) {
  return {{"LD_LIBRARY_PATH", built("lib/sim")},
          {"LORETOKEN_SIM_DEVICES", memory},
          {"LORETOKEN_SIM_STATE", std::getenv("LORETOKEN_SIM_STATE")}};
}

Environment under_shim(const std::string& memory, const std::string& limit, const std::string& virtual_size) {
  Environment environment = simulator(memory);
  const char* other = std::getenv("LT_SHIM");  // scripts/mutation.sh tests a changed one
  environment["LD_PRELOAD"] = LT_PRELOAD_FIRST + (other != nullptr ? other : built("lib/libloretoken.so"));
  environment["LORETOKEN_KERNELS"] = built("lib/sim/loretoken_kernels_sim.so");
  environment["LORETOKEN_LIMIT"] = limit;
  environment["LORETOKEN_VIRTUAL"] = virtual_size;
  environment["LORETOKEN_HOST"] = "1GiB";
  return environment;
}

Outcome run(const std::vector<std::string>& command, const Environment& environment, int silence_s) {
  std::vector<std::string> variables;
  for (char** e = environ; *e != nullptr; ++e) {
    const std::string text = *e;
    const std::string name = text.substr(0, text.find('='));
    if (name.rfind("LORETOKEN_", 0) == 0 || environment.count(name) != 0) continue;
    variables.push_back(text);
  }
  for (const auto& [name, value] : environment) variables.push_back(name + "=" + value);
  std::vector<char*> argv;
  std::vector<char*> envp;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  for (const std::string& word : variables) envp.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  envp.push_back(nullptr);

  int out[2];
  int err[2];
  if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) return {};
  const pid_t child = fork();
  if (child == 0) {
    dup2(out[1], 1);
    dup2(err[1], 2);
    execve(argv[0], argv.data(), envp.data());
    _exit(127);
  }
  close(out[1]);
  close(err[1]);
  fcntl(out[0], F_SETFL, O_NONBLOCK);
  fcntl(err[0], F_SETFL, O_NONBLOCK);
  Outcome outcome;
  const auto silence = std::chrono::seconds(silence_s);
  auto end = std::chrono::steady_clock::now() + silence;
  int status = 0;
  for (;;) {
    pollfd fds[] = {{out[0], POLLIN, 0}, {err[0], POLLIN, 0}};
    poll(fds, 2, 20);
    if (drain(out[0], &outcome.out)) end = std::chrono::steady_clock::now() + silence;
    drain(err[0], &outcome.err);
    if (waitpid(child, &status, WNOHANG) == child) break;
    if (std::chrono::steady_clock::now() > end) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      outcome.err += "\n[killed after " + std::to_string(silence_s) + " s without output]";
      break;
    }
  }
  drain(out[0], &outcome.out);
  drain(err[0], &outcome.err);
  close(out[0]);
  close(err[0]);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

}  // namespace lt
