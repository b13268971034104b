#include "rules.h"

#include <charconv>
#include <cstdlib>
#include <sstream>

namespace loretoken::sim::inject {

namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

std::string trim(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

bool read_number(const std::string& text, uint64_t& value) {
  const bool hex = text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
  const char* begin = text.data() + (hex ? 2 : 0);
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(begin, end, value, hex ? 16 : 10);
  return error == std::errc() && rest == end;
}

bool parse_fail(const std::string& value, FailRule& rule) {
  const auto parts = split(value, ':');
  if (parts.size() != 3 || parts[0].empty()) return false;
  std::string n = parts[1];
  rule.symbol = parts[0];
  rule.and_later = !n.empty() && n.back() == '+';
  if (rule.and_later) n.pop_back();
  uint64_t code = 0;
  if (!read_number(n, rule.n) || rule.n == 0 || !read_number(parts[2], code) || code > 999) return false;
  rule.code = static_cast<int>(code);
  return true;
}

bool parse_slow(const std::string& value, SlowRule& rule) {
  const auto colon = value.rfind(':');
  if (colon == std::string::npos || colon == 0) return false;
  rule.what = value.substr(0, colon);
  return read_number(value.substr(colon + 1), rule.microseconds);
}

bool parse_flip(const std::string& value, FlipRule& rule) {
  const auto parts = split(value, ':');
  return parts.size() == 2 && read_number(parts[0], rule.n) && rule.n != 0 && read_number(parts[1], rule.seed);
}

// <n>:<device|host>:<hex digits>:<offset>
bool parse_flip_behind(const std::string& value, FlipRule& rule) {
  const auto parts = split(value, ':');
  if (parts.size() != 4 || !read_number(parts[0], rule.n) || rule.n == 0 || !read_number(parts[3], rule.offset))
    return false;
  rule.host = parts[1] == "host";
  if (!rule.host && parts[1] != "device") return false;
  for (size_t i = 0; i + 1 < parts[2].size(); i += 2) {
    uint64_t byte = 0;
    if (!read_number("0x" + parts[2].substr(i, 2), byte)) return false;
    rule.behind.push_back(static_cast<unsigned char>(byte));
  }
  return !rule.behind.empty() && parts[2].size() % 2 == 0;
}

constexpr const char* kValueKeys[] = {"temperature", "temperature_margin", "power_watts", "throttle",
                                      "utilization", "memory_utilization", "ecc_errors"};

bool is_value_key(const std::string& key) {
  for (const char* known : kValueKeys)
    if (key == known) return true;
  return false;
}

bool is_value(const std::string& text) {
  uint64_t integer = 0;
  if (read_number(text, integer)) return true;
  char* end = nullptr;
  std::strtod(text.c_str(), &end);
  return !text.empty() && *end == '\0';
}

// Takes the rule of the same text from `old` when there is one.
template <class Rule>
void add_counted(std::map<std::string, std::shared_ptr<Counted<Rule>>>& rules, const std::string& text,
                 const Rule& rule, const std::map<std::string, std::shared_ptr<Counted<Rule>>>* old) {
  if (old) {
    if (const auto it = old->find(text); it != old->end()) {
      rules[text] = it->second;
      return;
    }
  }
  auto counted = std::make_shared<Counted<Rule>>();
  counted->rule = rule;
  rules[text] = std::move(counted);
}

bool add_line(const Line& line, const RuleSet* old, RuleSet& rules) {
  if (line.key == "fail") {
    FailRule rule;
    if (!parse_fail(line.value, rule)) return false;
    add_counted(rules.fails, line.text(), rule, old ? &old->fails : nullptr);
  } else if (line.key == "flip" || line.key == "flip_behind") {
    FlipRule rule;
    if (!(line.key == "flip" ? parse_flip : parse_flip_behind)(line.value, rule)) return false;
    add_counted(rules.flips, line.text(), rule, old ? &old->flips : nullptr);
  } else if (line.key == "slow" || line.key == "late") {
    SlowRule rule;
    if (!parse_slow(line.value, rule)) return false;
    (line.key == "slow" ? rules.slows : rules.lates).push_back(rule);
  } else if (line.key == "xid") {
    uint64_t code = 0;
    int device = 0;
    if (!parse_xid(line.value, code, device)) return false;
    rules.xids.push_back(line);
  } else if (is_value_key(line.key) && is_value(line.value)) {
    rules.values.push_back(line);
  } else {
    return false;
  }
  return true;
}

}  // namespace

std::string Line::text() const {
  return key + (device < 0 ? "" : "." + std::to_string(device)) + "=" + value;
}

std::vector<Line> split_lines(const std::string& text, std::vector<std::string>& bad) {
  std::vector<Line> lines;
  for (const std::string& raw : split(text, '\n')) {
    const std::string line = trim(raw);
    if (line.empty() || line[0] == '#') continue;
    const auto equals = line.find('=');
    if (equals == std::string::npos) {
      bad.push_back(line);
      continue;
    }
    Line parsed{trim(line.substr(0, equals)), trim(line.substr(equals + 1))};
    uint64_t device = 0;
    if (const auto dot = parsed.key.find('.'); dot != std::string::npos) {
      if (!read_number(parsed.key.substr(dot + 1), device)) {
        bad.push_back(line);
        continue;
      }
      parsed.device = static_cast<int>(device);
      parsed.key.resize(dot);
    }
    lines.push_back(std::move(parsed));
  }
  return lines;
}

std::unique_ptr<RuleSet> build_rules(const std::vector<Line>& lines, const RuleSet* old,
                                     std::vector<std::string>& bad) {
  auto rules = std::make_unique<RuleSet>();
  for (const Line& line : lines)
    if (!add_line(line, old, *rules)) bad.push_back(line.text());
  return rules;
}

std::vector<Line> environment_lines() {
  std::vector<Line> lines;
  auto take = [&](const char* variable, const char* key) {
    const char* value = std::getenv(variable);
    if (!value) return;
    for (const std::string& part : split(value, ',')) lines.push_back({key, trim(part)});
  };
  take("LORETOKEN_SIM_FAIL", "fail");
  take("LORETOKEN_SIM_SLOW", "slow");
  take("LORETOKEN_SIM_LATE", "late");
  take("LORETOKEN_SIM_FLIP", "flip");
  take("LORETOKEN_SIM_FLIP_BEHIND", "flip_behind");
  take("LORETOKEN_SIM_XID", "xid");
  take("LORETOKEN_SIM_TEMPERATURE", "temperature");
  take("LORETOKEN_SIM_TEMPERATURE_MARGIN", "temperature_margin");
  take("LORETOKEN_SIM_POWER_WATTS", "power_watts");
  take("LORETOKEN_SIM_THROTTLE", "throttle");
  take("LORETOKEN_SIM_UTILIZATION", "utilization");
  take("LORETOKEN_SIM_MEMORY_UTILIZATION", "memory_utilization");
  take("LORETOKEN_SIM_ECC_ERRORS", "ecc_errors");
  return lines;
}

bool parse_xid(const std::string& value, uint64_t& code, int& device) {
  const auto parts = split(value, ':');
  uint64_t index = 0, sequence = 0;
  if (parts.empty() || parts.size() > 3 || !read_number(parts[0], code)) return false;
  if (parts.size() > 1 && (!read_number(parts[1], index) || index > 255)) return false;
  if (parts.size() > 2 && !read_number(parts[2], sequence)) return false;
  device = static_cast<int>(index);
  return true;
}

}  // namespace loretoken::sim::inject
