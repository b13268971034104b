// Settings from the environment, read once. A value that is not allowed is named in a warning together with what is
// allowed, and the default is used.
#pragma once

#include <cstdint>
#include <string>

#include "base/log.h"
#include "base/size.h"

namespace loretoken {

enum class Mode : uint32_t { kFull, kHold, kOff };
enum class Check : uint32_t { kNone, kStrict };
enum class Pointers : uint32_t { kLearned, kStrict };
enum class Verify : uint32_t { kAlways, kSample, kOff };
enum class Integrity : uint32_t { kLog, kFail, kPassthrough };

struct Settings {
#define SETTING_SIZE(field, name, fallback, meaning) Size field;
#define SETTING_CHOICE(field, name, type, fallback, meaning) type field = type::fallback;
#define SETTING_TEXT(field, name, fallback, meaning) std::string field = fallback;
#define SETTING_NUMBER(field, name, fallback, low, high, meaning) int64_t field = fallback;
#include "base/settings.def"

  Settings();  // defaults
};

// The process's settings: the environment as it was at the first call.
const Settings& settings();

// From any look-up function (returns nullptr for "not set"); tests use it. Warnings go to the log.
Settings read_settings(const char* (*lookup)(const char* name));

// Tests only: replaces what settings() returns. Call before threads start.
void replace_settings(const Settings&);

}  // namespace loretoken
