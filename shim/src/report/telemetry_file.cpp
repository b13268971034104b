#include "report/telemetry_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>

#include "base/log.h"

namespace loretoken {
namespace {

// The magic is written last, so that a reader never meets a half-made header.
void lay_out(loretoken_telemetry* file) {
  file->version_major = LORETOKEN_ABI_MAJOR;
  file->version_minor = LORETOKEN_ABI_MINOR;
  file->size = sizeof(loretoken_telemetry);
  file->process_offset = offsetof(loretoken_telemetry, processes);
  file->process_size = sizeof(loretoken_process);
  file->process_count = LORETOKEN_MAX_PROCESSES;
  file->row_offset = offsetof(loretoken_telemetry, rows);
  file->row_size = sizeof(loretoken_row);
  file->row_count = LORETOKEN_MAX_ROWS;
  file->event_offset = offsetof(loretoken_telemetry, events);
  file->event_size = sizeof(loretoken_event);
  file->event_count = LORETOKEN_MAX_EVENTS;
  std::atomic_ref(file->magic).store(LORETOKEN_TELEMETRY_MAGIC, std::memory_order_release);
}

// The rows are found by the compiled offsets, so a file is used only if it has exactly this layout.
bool usable(const loretoken_telemetry& file) {
  return file.magic == LORETOKEN_TELEMETRY_MAGIC && file.version_major == LORETOKEN_ABI_MAJOR &&
         file.process_offset == offsetof(loretoken_telemetry, processes) &&
         file.process_size == sizeof(loretoken_process) && file.row_offset == offsetof(loretoken_telemetry, rows) &&
         file.row_size == sizeof(loretoken_row) && file.event_offset == offsetof(loretoken_telemetry, events) &&
         file.event_size == sizeof(loretoken_event) && file.process_count == LORETOKEN_MAX_PROCESSES &&
         file.row_count == LORETOKEN_MAX_ROWS && file.event_count == LORETOKEN_MAX_EVENTS;
}

loretoken_telemetry* refuse(const char* path, const char* why) {
  log_warn("telemetry file %s: %s; no telemetry is written", path, why);
  return nullptr;
}

}  // namespace

loretoken_telemetry* map_telemetry(const char* path) {
  const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) return refuse(path, strerror(errno));
  // Orders processes that start together.
  while (flock(file, LOCK_EX) != 0 && errno == EINTR) {
  }
  struct stat status {};
  loretoken_telemetry* result = nullptr;
  const char* why = nullptr;
  if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) {
    why = "not a regular file";
  } else if (static_cast<size_t>(status.st_size) < sizeof(loretoken_telemetry) &&
             posix_fallocate(file, 0, sizeof(loretoken_telemetry)) != 0) {
    why = "cannot be made large enough";
  } else {
    void* mapped = mmap(nullptr, sizeof(loretoken_telemetry), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED) {
      why = strerror(errno);
    } else {
      result = static_cast<loretoken_telemetry*>(mapped);
      if (result->magic == 0) lay_out(result);
      if (!usable(*result)) {
        why = "made by another version or not a telemetry file";
        munmap(mapped, sizeof(loretoken_telemetry));
        result = nullptr;
      }
    }
  }
  flock(file, LOCK_UN);  // not left to close(): the mapping keeps the file open
  close(file);
  return result != nullptr ? result : refuse(path, why);
}

loretoken_telemetry* private_telemetry() {
  void* memory = mmap(nullptr, sizeof(loretoken_telemetry), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  static loretoken_telemetry last_resort;
  auto* result = memory == MAP_FAILED ? &last_resort : static_cast<loretoken_telemetry*>(memory);
  lay_out(result);
  return result;
}

uint64_t process_start_time(uint32_t pid) {
  char path[32];
  snprintf(path, sizeof path, "/proc/%u/stat", pid);
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[1024];
  const ssize_t length = read(file, text, sizeof text - 1);
  close(file);
  if (length <= 0) return 0;
  text[length] = '\0';
  // The name in parentheses may hold anything; the third field follows the last ')'.
  const char* at = strrchr(text, ')');
  for (int field = 2; at != nullptr && field < 22; ++field) {
    at = strchr(at + 1, ' ');
  }
  return at == nullptr ? 0 : strtoull(at + 1, nullptr, 10);
}

bool process_alive(uint32_t pid, uint64_t start_time) {
  if (kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH) return false;
  if (start_time == 0) return true;
  const uint64_t now = process_start_time(pid);
  return now == 0 || now == start_time;  // 0: /proc is not readable, so the signal's answer stands
}

}  // namespace loretoken
