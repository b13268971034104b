// A node agent without rest: writes a control file with modes, policy and limits at random every few milliseconds,
// until it is ended. What a program computes meanwhile must be what it computes without it.
//   g++ -O1 -std=c++20 restless_agent.cpp -I shim/include -o restless_agent
//   restless_agent FILE GPU-UUID LEAST-LIMIT-BYTES MOST-LIMIT-BYTES SEED
#include <cstdlib>
#include <optional>
#include <random>

#include "control_file.h"

int main(int argc, char** argv) {
  std::optional<ControlFile> file;
  if (argc == 6) file.emplace(argv[1], argv[2]);
  if (!file || !file->ready()) {
    fprintf(stderr, "usage: restless_agent FILE GPU-UUID LEAST-LIMIT-BYTES MOST-LIMIT-BYTES SEED\n");
    return 2;
  }
  loretoken_control& block = file->block;
  loretoken_control_device& device = file->device();
  const uint64_t least = strtoull(argv[3], nullptr, 10);
  const uint64_t most = strtoull(argv[4], nullptr, 10);
  std::mt19937_64 random(strtoull(argv[5], nullptr, 10));
  const auto pick = [&](uint64_t count) { return random() % count; };
  for (;;) {
    block.policy_generation++;
    block.mode = static_cast<uint32_t>(pick(3));
    block.verify = static_cast<uint32_t>(pick(2));
    block.codecs = pick(3) == 0 ? pick(64) : 0;
    block.max_penalty_permille = pick(4) == 0 ? static_cast<uint32_t>(1 + pick(200)) : 0;
    block.penalty_window_ms = static_cast<uint32_t>(50 + pick(500));
    block.pointer_safety = static_cast<uint32_t>(pick(2));
    file->beat();
    device.limit = least + pick(most - least + 1);
    device.verdict_guard = pick(3) == 0 ? LORETOKEN_GUARD_THERMAL : 0;
    device.verdict_mode = static_cast<uint32_t>(pick(3));
    device.verdict_backoff = static_cast<uint32_t>(pick(3));
    if (!file->write()) return 1;
    usleep(static_cast<useconds_t>(5'000 + pick(200'000)));
  }
}
