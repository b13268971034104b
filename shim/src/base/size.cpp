#include "base/size.h"

#include <stdio.h>

#include <cctype>

namespace loretoken {
namespace {

// Bytes per unit, 0: no such unit.
double unit_bytes(std::string_view unit) {
  std::string lower;
  for (const char c : unit) lower.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
  if (lower.empty() || lower == "b") return 1;
  constexpr std::string_view kPrefixes = "kmgt";
  const size_t power = kPrefixes.find(lower[0]);
  if (power == std::string_view::npos) return 0;
  const std::string_view rest = std::string_view(lower).substr(1);
  if (rest != "ib" && rest != "b") return 0;
  double bytes = 1;
  for (size_t i = 0; i <= power; ++i) bytes *= rest == "ib" ? 1024 : 1000;
  return bytes;
}

}  // namespace

std::optional<Size> parse_size(std::string_view text) {
  size_t at = 0;
  double number = 0;
  double place = 0;  // 0: before the point
  bool digits = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (c >= '0' && c <= '9') {
      digits = true;
      if (place == 0) {
        number = number * 10 + (c - '0');
      } else {
        number += (c - '0') * place;
        place /= 10;
      }
    } else if (c == '.' && place == 0 && digits) {
      place = 0.1;
    } else {
      break;
    }
  }
  if (!digits) return std::nullopt;
  while (at < text.size() && text[at] == ' ') ++at;
  const std::string_view unit = text.substr(at);
  if (unit == "%") return number > 0 ? std::optional<Size>({0, number, true}) : std::nullopt;
  const double scale = unit_bytes(unit);
  if (scale == 0 || number * scale >= 0x1p63) return std::nullopt;
  return Size{static_cast<uint64_t>(number * scale + 0.5), 0, true};
}

std::string format_bytes(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  int unit = 0;
  while (value >= 1024 && unit < 4) {
    value /= 1024;
    ++unit;
  }
  char text[32];
  snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text;
}

}  // namespace loretoken
