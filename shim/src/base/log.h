// Lines on stderr: "loretoken: <level>: <text>". One write per line, so that lines of several processes do not mix.
// Never allocates, never throws; longer than 1,000 bytes is cut.
#pragma once

namespace loretoken {

enum class LogLevel : int { kError, kWarn, kInfo, kDebug };

void set_log_level(LogLevel);
bool log_enabled(LogLevel);

void log_line(LogLevel, const char* format, ...) __attribute__((format(printf, 2, 3)));

// A disabled level costs one relaxed load.
#define LORETOKEN_LOG_AT(level, ...) \
  (::loretoken::log_enabled(level) ? ::loretoken::log_line(level, __VA_ARGS__) : static_cast<void>(0))
#define log_error(...) LORETOKEN_LOG_AT(::loretoken::LogLevel::kError, __VA_ARGS__)
#define log_warn(...) LORETOKEN_LOG_AT(::loretoken::LogLevel::kWarn, __VA_ARGS__)
#define log_info(...) LORETOKEN_LOG_AT(::loretoken::LogLevel::kInfo, __VA_ARGS__)
#define log_debug(...) LORETOKEN_LOG_AT(::loretoken::LogLevel::kDebug, __VA_ARGS__)

}  // namespace loretoken
