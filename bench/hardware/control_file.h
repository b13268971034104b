// Writing the control file (shim/include/loretoken/abi.h) as a node's agent does: by seqlock, in place.
#pragma once

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "loretoken/abi.h"

class ControlFile {
 public:
  // One card, `integrity` fail, nothing else set. Opened but not written; `ready` is false for a bad path or UUID.
  ControlFile(const char* path, const char* gpu_uuid) : path_(path) {
    block.magic = LORETOKEN_CONTROL_MAGIC;
    block.version_major = LORETOKEN_ABI_MAJOR;
    block.size = sizeof block;
    block.integrity = 1;
    block.host_limit = UINT64_MAX;
    block.device_count = 1;
    block.device_size = sizeof block.devices[0];
    if (!read_uuid(gpu_uuid)) return;
    file_ = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    uint64_t sequence = 0;
    if (file_ >= 0 && pread(file_, &sequence, sizeof sequence, kSequence) == sizeof sequence) sequence_ = sequence;
  }
  ~ControlFile() {
    if (file_ >= 0) close(file_);
  }
  ControlFile(const ControlFile&) = delete;
  ControlFile& operator=(const ControlFile&) = delete;

  bool ready() const { return file_ >= 0; }
  loretoken_control_device& device() { return block.devices[0]; }

  void beat() {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    block.heartbeat_ns = static_cast<uint64_t>(t.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(t.tv_nsec);
  }

  // The block as it is now; prints why it could not be written.
  bool write() {
    constexpr size_t kBody = kSequence + sizeof block.sequence;
    const uint64_t odd = sequence_ | 1;
    sequence_ = odd + 1;
    if (put(&odd, sizeof odd, kSequence) && put(&block, kSequence, 0) &&
        put(reinterpret_cast<const char*>(&block) + kBody, sizeof block - kBody, kBody) &&
        put(&sequence_, sizeof sequence_, kSequence)) {
      return true;
    }
    perror(path_);
    return false;
  }

  loretoken_control block{};

 private:
  static constexpr size_t kSequence = offsetof(loretoken_control, sequence);

  // "GPU-xxxxxxxx-…": the 32 hexadecimal digits.
  bool read_uuid(const char* text) {
    int digits = 0;
    for (const char* at = strncmp(text, "GPU-", 4) == 0 ? text + 4 : text; *at != 0; ++at) {
      if (*at == '-') continue;
      unsigned value = 0;
      const char one[2] = {*at, 0};
      if (digits == 32 || sscanf(one, "%x", &value) != 1) return false;
      uint8_t& byte = device().uuid[digits / 2];
      byte = static_cast<uint8_t>(byte << 4 | value);
      ++digits;
    }
    return digits == 32;
  }

  bool put(const void* from, size_t bytes, size_t offset) {
    return pwrite(file_, from, bytes, static_cast<off_t>(offset)) == static_cast<ssize_t>(bytes);
  }

  const char* path_;
  int file_ = -1;
  uint64_t sequence_ = 0;
};
