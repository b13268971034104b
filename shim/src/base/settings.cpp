#include "base/settings.h"

#include <stdlib.h>

#include <atomic>
#include <charconv>
#include <cstring>
#include <span>

namespace loretoken {
namespace {

template <class T>
struct Names;
#define LORETOKEN_NAMES(type, allowed_text, ...)            \
  template <>                                               \
  struct Names<type> {                                      \
    static constexpr const char* kAllowed = allowed_text;   \
    static constexpr const char* kValues[] = {__VA_ARGS__}; \
  };
LORETOKEN_NAMES(Mode, "full, hold or off", "full", "hold", "off")
LORETOKEN_NAMES(Check, "none or strict", "none", "strict")
LORETOKEN_NAMES(Pointers, "learned or strict", "learned", "strict")
LORETOKEN_NAMES(Verify, "always, sample or off", "always", "sample", "off")
LORETOKEN_NAMES(Integrity, "log, fail or passthrough", "log", "fail", "passthrough")
LORETOKEN_NAMES(LogLevel, "error, warn, info or debug", "error", "warn", "info", "debug")
#undef LORETOKEN_NAMES

void complain(const char* name, const char* value, const std::string& allowed, const char* used) {
  log_warn("%s=\"%s\" is not allowed (allowed: %s); using %s", name, value, allowed.c_str(), used);
}

void read(Size* field, const char* name, const char* fallback, const char* value) {
  if (value == nullptr) return;
  if (const auto size = parse_size(value)) {
    *field = *size;
    return;
  }
  complain(name, value, "a size such as 24GiB, 24GB or 80%", *fallback == '\0' ? "the default" : fallback);
}

template <class T>
void read(T* field, const char* name, const char* value) {
  if (value == nullptr) return;
  uint32_t index = 0;
  for (const char* allowed : Names<T>::kValues) {
    if (std::strcmp(allowed, value) == 0) {
      *field = static_cast<T>(index);
      return;
    }
    ++index;
  }
  complain(name, value, Names<T>::kAllowed, Names<T>::kValues[static_cast<uint32_t>(*field)]);
}

void read(int64_t* field, const char* name, int64_t low, int64_t high, const char* value) {
  if (value == nullptr) return;
  int64_t number = 0;
  const char* end = value + std::strlen(value);
  const auto result = std::from_chars(value, end, number);
  if (result.ec == std::errc() && result.ptr == end && number >= low && number <= high) {
    *field = number;
    return;
  }
  complain(name, value, "a whole number from " + std::to_string(low) + " to " + std::to_string(high),
           std::to_string(*field).c_str());
}

std::atomic<const Settings*> g_settings{nullptr};

}  // namespace

Settings::Settings() {
#define SETTING_SIZE(field, name, fallback, meaning) \
  if (const auto size = parse_size(fallback)) field = *size;
#include "base/settings.def"
}

Settings read_settings(const char* (*lookup)(const char* name)) {
  Settings result;
  // The log level first: it decides which complaints about the others are seen.
  read(&result.log, "LORETOKEN_LOG", lookup("LORETOKEN_LOG"));
  set_log_level(result.log);
#define SETTING_SIZE(field, name, fallback, meaning) read(&result.field, name, fallback, lookup(name));
#define SETTING_CHOICE(field, name, type, fallback, meaning) \
  if (std::strcmp(name, "LORETOKEN_LOG") != 0) read(&result.field, name, lookup(name));
#define SETTING_TEXT(field, name, fallback, meaning) \
  if (const char* value = lookup(name)) result.field = value;
#define SETTING_NUMBER(field, name, fallback, low, high, meaning) read(&result.field, name, low, high, lookup(name));
#include "base/settings.def"
  return result;
}

const Settings& settings() {
  if (const Settings* read = g_settings.load(std::memory_order_acquire)) return *read;
  // Two threads may both read; the first to publish wins. Never freed: hooks may run while the process exits.
  const auto* mine = new Settings(read_settings([](const char* name) -> const char* { return getenv(name); }));
  const Settings* expected = nullptr;
  if (g_settings.compare_exchange_strong(expected, mine, std::memory_order_acq_rel)) return *mine;
  delete mine;
  return *expected;
}

void replace_settings(const Settings& replacement) {
  set_log_level(replacement.log);
  g_settings.store(new Settings(replacement), std::memory_order_release);
}

}  // namespace loretoken
