#include "guard/control_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>

#include "base/log.h"

namespace loretoken {
namespace {

constexpr int kTries = 8;  // a write of the agent takes microseconds
constexpr size_t kHeader = offsetof(loretoken_control, devices);
// A newer agent's entries may be larger than ours, up to this.
constexpr size_t kMostStride = 512;
constexpr size_t kMostBytes = kHeader + size_t{LORETOKEN_MAX_DEVICES} * kMostStride;

// Up to `bytes`; what the file does not have is left as it is.
ssize_t read_at(int file, void* to, size_t bytes, off_t offset) {
  size_t done = 0;
  while (done < bytes) {
    const ssize_t got = pread(file, static_cast<char*>(to) + done, bytes - done, offset + static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return static_cast<ssize_t>(done);
}

bool read_sequence(int file, uint64_t* sequence) {
  return read_at(file, sequence, sizeof *sequence, offsetof(loretoken_control, sequence)) == sizeof *sequence;
}

// Entries lie `stride` bytes apart in the file; ours are of our own size.
void take_devices(const char* from, size_t bytes, size_t stride, loretoken_control* out) {
  for (uint32_t i = 0; i < out->device_count; ++i) {
    const size_t at = i * stride;
    if (at >= bytes) break;
    memcpy(&out->devices[i], from + at, std::min({stride, sizeof out->devices[i], bytes - at}));
  }
}

class Opened {
 public:
  explicit Opened(const char* path) : file_(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~Opened() {
    if (file_ >= 0) close(file_);
  }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
  int get() const { return file_; }

 private:
  const int file_;
};

}  // namespace

bool ControlFile::refuse(const char* why) {
  if (refused_ == nullptr || strcmp(refused_, why) != 0) log_warn("control file %s: %s", path_.c_str(), why);
  refused_ = why;
  return false;
}

bool ControlFile::read(loretoken_control* out) {
  if (path_.empty()) return false;
  const Opened file(path_.c_str());
  struct stat status {};
  if (file.get() < 0) return refuse("it cannot be opened");
  if (fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return refuse("not a regular file");
  char buffer[kMostBytes];
  for (int attempt = 0; attempt < kTries; ++attempt) {
    uint64_t before = 0;
    uint64_t after = 0;
    if (!read_sequence(file.get(), &before)) return refuse("too short for a control file");
    memset(buffer, 0, kHeader);
    const ssize_t got = read_at(file.get(), buffer, sizeof buffer, 0);
    if (got < 0 || !read_sequence(file.get(), &after)) return refuse("it cannot be read");
    if (before != after || (before & 1) != 0) {
      usleep(50);
      continue;
    }
    memset(out, 0, sizeof *out);
    memcpy(out, buffer, kHeader);
    if (out->magic != LORETOKEN_CONTROL_MAGIC) return refuse("not a control file");
    if (out->version_major != LORETOKEN_ABI_MAJOR) return refuse("made for another version of this library");
    out->device_count = std::min(out->device_count, LORETOKEN_MAX_DEVICES);
    const size_t stride = out->device_size;
    if (out->device_count != 0 && (stride < sizeof out->devices[0].uuid || stride > kMostStride)) {
      return refuse("its device entries have no possible size");
    }
    const size_t stated = std::min<size_t>(static_cast<size_t>(got), std::max<uint64_t>(out->size, kHeader));
    take_devices(buffer + kHeader, stated > kHeader ? stated - kHeader : 0, stride, out);
    refused_ = nullptr;
    return true;
  }
  return refuse("the agent does not finish writing it");
}

const loretoken_control_device* entry_of(const loretoken_control& control, const uint8_t* uuid) {
  static constexpr uint8_t kUnused[16] = {};
  for (uint32_t i = 0; i < control.device_count; ++i) {
    const loretoken_control_device& device = control.devices[i];
    if (memcmp(device.uuid, kUnused, sizeof kUnused) == 0) continue;
    if (memcmp(device.uuid, uuid, sizeof device.uuid) == 0) return &device;
  }
  return nullptr;
}

}  // namespace loretoken
