#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

namespace loretoken {
namespace {

std::atomic<int> g_level{static_cast<int>(LogLevel::kWarn)};
constexpr const char* kNames[] = {"error", "warning", "info", "debug"};
constexpr size_t kLineBytes = 1000;

}  // namespace

void set_log_level(LogLevel level) {
  g_level.store(static_cast<int>(level), std::memory_order_relaxed);
}

bool log_enabled(LogLevel level) {
  return static_cast<int>(level) <= g_level.load(std::memory_order_relaxed);
}

void log_line(LogLevel level, const char* format, ...) {
  const int saved = errno;
  char line[kLineBytes + 1];
  int length = snprintf(line, kLineBytes, "loretoken: %s: ", kNames[static_cast<int>(level)]);
  va_list arguments;
  va_start(arguments, format);
  const int written = vsnprintf(line + length, kLineBytes - static_cast<size_t>(length), format, arguments);
  va_end(arguments);
  if (written > 0) length = std::min<int>(length + written, kLineBytes - 1);
  line[length++] = '\n';
  if (write(STDERR_FILENO, line, static_cast<size_t>(length)) < 0) {
    // Nowhere to say so.
  }
  errno = saved;
}

}  // namespace loretoken
