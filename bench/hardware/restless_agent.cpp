// A node agent without rest: writes a control file with modes, policy and limits at random every few milliseconds,
// until it is ended. What a program computes meanwhile must be what it computes without it.
//   g++ -O1 -std=c++20 restless_agent.cpp -I shim/include -o restless_agent
//   restless_agent FILE GPU-UUID LEAST-LIMIT-BYTES MOST-LIMIT-BYTES SEED
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include "loretoken/abi.h"

namespace {

// "GPU-xxxxxxxx-…": the 32 hexadecimal digits.
bool read_uuid(const char* text, uint8_t* uuid) {
  int digits = 0;
  for (const char* at = strncmp(text, "GPU-", 4) == 0 ? text + 4 : text; *at != 0; ++at) {
    if (*at == '-') continue;
    unsigned value = 0;
    const char one[2] = {*at, 0};
    if (digits == 32 || sscanf(one, "%x", &value) != 1) return false;
    uuid[digits / 2] = static_cast<uint8_t>(uuid[digits / 2] << 4 | value);
    ++digits;
  }
  return digits == 32;
}

uint64_t now_ns() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(t.tv_nsec);
}

bool put(int file, const void* from, size_t bytes, size_t offset) {
  return pwrite(file, from, bytes, static_cast<off_t>(offset)) == static_cast<ssize_t>(bytes);
}

}  // namespace

int main(int argc, char** argv) {
  loretoken_control block{};
  block.magic = LORETOKEN_CONTROL_MAGIC;
  block.version_major = LORETOKEN_ABI_MAJOR;
  block.size = sizeof block;
  block.integrity = 1;
  block.host_limit = UINT64_MAX;
  block.device_count = 1;
  block.device_size = sizeof block.devices[0];
  loretoken_control_device& device = block.devices[0];
  const int file = argc == 6 ? open(argv[1], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
  if (file < 0 || !read_uuid(argv[2], device.uuid)) {
    fprintf(stderr, "usage: restless_agent FILE GPU-UUID LEAST-LIMIT-BYTES MOST-LIMIT-BYTES SEED\n");
    return 2;
  }
  const uint64_t least = strtoull(argv[3], nullptr, 10);
  const uint64_t most = strtoull(argv[4], nullptr, 10);
  std::mt19937_64 random(strtoull(argv[5], nullptr, 10));
  const auto pick = [&](uint64_t count) { return random() % count; };
  constexpr size_t kBody = offsetof(loretoken_control, sequence) + sizeof block.sequence;
  for (uint64_t sequence = 2;; sequence += 2) {
    block.policy_generation++;
    block.mode = static_cast<uint32_t>(pick(3));
    block.verify = static_cast<uint32_t>(pick(2));
    block.codecs = pick(3) == 0 ? pick(64) : 0;
    block.max_penalty_permille = pick(4) == 0 ? static_cast<uint32_t>(1 + pick(200)) : 0;
    block.penalty_window_ms = static_cast<uint32_t>(50 + pick(500));
    block.pointer_safety = static_cast<uint32_t>(pick(2));
    block.heartbeat_ns = now_ns();
    device.limit = least + pick(most - least + 1);
    device.verdict_guard = pick(3) == 0 ? LORETOKEN_GUARD_THERMAL : 0;
    device.verdict_mode = static_cast<uint32_t>(pick(3));
    device.verdict_backoff = static_cast<uint32_t>(pick(3));
    const uint64_t odd = sequence + 1;
    const uint64_t even = sequence + 2;
    if (!put(file, &odd, sizeof odd, offsetof(loretoken_control, sequence)) ||
        !put(file, &block, offsetof(loretoken_control, sequence), 0) ||
        !put(file, reinterpret_cast<const char*>(&block) + kBody, sizeof block - kBody, kBody) ||
        !put(file, &even, sizeof even, offsetof(loretoken_control, sequence))) {
      perror(argv[1]);
      return 1;
    }
    usleep(static_cast<useconds_t>(5'000 + pick(200'000)));
  }
}
