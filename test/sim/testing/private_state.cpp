// Linked into test programs: their simulated cards are their own. Else tests that run side by side would take each
// other's memory, as processes on one card do.
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace {

std::string state_path() {
  const char* folder = std::getenv("TMPDIR");
  return std::string(folder != nullptr ? folder : "/tmp") + "/loretoken-sim-test-" + std::to_string(getpid());
}

struct PrivateState {
  const std::string path = state_path();
  const pid_t owner = getpid();
  PrivateState() { setenv("LORETOKEN_SIM_STATE", path.c_str(), 1); }
  ~PrivateState() {
    if (getpid() == owner) unlink(path.c_str());
  }
};
const PrivateState g_private_state;

}  // namespace
