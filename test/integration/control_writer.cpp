#include "control_writer.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "board.h"

namespace lt {
namespace {

void put(int file, const void* from, size_t bytes, size_t offset) {
  if (pwrite(file, from, bytes, static_cast<off_t>(offset)) != static_cast<ssize_t>(bytes)) std::abort();
}

}  // namespace

ControlWriter::ControlWriter(std::string path, const uint8_t* uuid) : path_(std::move(path)) {
  file_ = open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file_ < 0) std::abort();
  block.magic = LORETOKEN_CONTROL_MAGIC;
  block.version_major = LORETOKEN_ABI_MAJOR;
  block.version_minor = LORETOKEN_ABI_MINOR;
  block.size = sizeof block;
  block.host_limit = UINT64_MAX;
  block.integrity = 1;
  block.device_count = 1;
  block.device_size = sizeof block.devices[0];
  memcpy(device().uuid, uuid, sizeof device().uuid);
  write();
}

ControlWriter::~ControlWriter() {
  close(file_);
  unlink(path_.c_str());
}

void ControlWriter::write() {
  constexpr size_t kBody = offsetof(loretoken_control, sequence) + sizeof block.sequence;
  const uint64_t odd = sequence_ + 1;
  put(file_, &block, offsetof(loretoken_control, sequence), 0);
  put(file_, &odd, sizeof odd, offsetof(loretoken_control, sequence));
  put(file_, reinterpret_cast<const char*>(&block) + kBody, sizeof block - kBody, kBody);
  sequence_ += 2;
  put(file_, &sequence_, sizeof sequence_, offsetof(loretoken_control, sequence));
}

uint64_t ControlWriter::now_ns() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(t.tv_nsec);
}

const uint8_t* first_card() {
  return loretoken::sim::board::cards().front().uuid;
}

}  // namespace lt
