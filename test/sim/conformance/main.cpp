// Prints facts about a CUDA driver, one per line, so that two drivers can be compared by `diff`: no addresses, no
// times.
//
//   sim_conformance --kernels <conformance_kernels.fatbin | conformance_kernels_sim.so> [section…]
//
// On a machine with a GPU, from the repository's root (the include folder is the one that holds cuda.h):
//   g++ -std=c++20 -O1 -I /usr/local/cuda/include test/sim/conformance/*.cpp -o sim_conformance -ldl -pthread
//   nvcc -std=c++20 -arch=sm_90 -fatbin -I kernels/include -o conformance_kernels.fatbin
//   test/sim/conformance/conformance_kernels.cu
//   ./sim_conformance --kernels conformance_kernels.fatbin > test/sim/conformance/expected-h200.txt
//
// Every section runs in a process of its own: a crash or a sticky error in one shows as a line and spoils no other.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "report.h"

namespace {

constexpr unsigned kSecondsPerSection = 60;

struct Section {
  const char* name;
  void (*run)();
  bool started;  // needs cuInit and a current context first
};

constexpr Section kSections[] = {
    {"init", conformance::section_init, false},
    {"attributes", conformance::section_attributes, true},
    {"context", conformance::section_context, true},
    {"memory", conformance::section_memory, true},
    {"copies", conformance::section_copies, true},
    {"host_memory", conformance::section_host_memory, true},
    {"vmm_create", conformance::section_vmm_create, true},
    {"vmm_reserve", conformance::section_vmm_reserve, true},
    {"vmm_map", conformance::section_vmm_map, true},
    {"vmm_share", conformance::section_vmm_share, true},
    {"vmm_graph", conformance::section_vmm_graph, true},
    {"pointers", conformance::section_pointers, true},
    {"pools", conformance::section_pools, true},
    {"streams", conformance::section_streams, true},
    {"events", conformance::section_events, true},
    {"capture_modes", conformance::section_capture_modes, true},
    {"capture_rules", conformance::section_capture_rules, true},
    {"graphs", conformance::section_graphs, true},
    {"graph_memory", conformance::section_graph_memory, true},
    {"modules", conformance::section_modules, true},
    {"launch", conformance::section_launch, true},
    {"procaddress", conformance::section_procaddress, true},
    {"ipc", conformance::section_ipc, true},
    {"fault", conformance::section_fault, true},
};

void run_in_child(const Section& section) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    alarm(kSecondsPerSection);
    conformance::begin(section.name);
    if (!section.started || conformance::start()) section.run();
    std::fflush(stdout);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  conformance::begin(section.name);
  if (WIFSIGNALED(status)) conformance::say("end", "signal %s", sigabbrev_np(WTERMSIG(status)));
  if (WIFEXITED(status) && WEXITSTATUS(status) != 0) conformance::say("end", "exit %d", WEXITSTATUS(status));
}

bool wanted(const std::vector<std::string>& names, const char* name) {
  if (names.empty()) return true;
  for (const std::string& chosen : names)
    if (chosen == name) return true;
  return false;
}

}  // namespace

int main(int count, char** arguments) {
  std::vector<std::string> names;
  std::string kernels;
  for (int i = 1; i < count; ++i) {
    if (std::strcmp(arguments[i], "--kernels") == 0 && i + 1 < count) {
      kernels = arguments[++i];
    } else {
      names.push_back(arguments[i]);
    }
  }
  if (kernels.empty()) {
    std::fprintf(stderr, "usage: %s --kernels <kernel image> [section…]\n", arguments[0]);
    return 2;
  }
  conformance::set_kernel_path(kernels);
  for (const Section& section : kSections)
    if (wanted(names, section.name)) run_in_child(section);
  return 0;
}
