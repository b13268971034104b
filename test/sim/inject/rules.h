// The rules of inject.h as data: read from text, immutable once published.
#ifndef LORETOKEN_SIM_INJECT_RULES_H
#define LORETOKEN_SIM_INJECT_RULES_H

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace loretoken::sim::inject {

struct FailRule {
  std::string symbol;  // "*": every call
  uint64_t n = 0;      // 1 is the first call
  bool and_later = false;
  int code = 0;
};

struct SlowRule {
  std::string what;
  uint64_t microseconds = 0;
};

struct FlipRule {
  uint64_t n = 0, seed = 0;
  std::vector<unsigned char> behind;  // empty: one bit anywhere, by the seed
  uint64_t offset = 0;                // from the start of `behind`
  bool host = false;                  // in pinned host memory
};

// A rule with how often it was met. Shared by rule sets that hold the same line, so that a re-read keeps the count.
template <class Rule>
struct Counted {
  Rule rule;
  std::atomic<uint64_t> met{0};
};

// One text line. `key` is without the device suffix; device is -1 for all.
struct Line {
  std::string key, value;
  int device = -1;
  std::string text() const;
};

struct RuleSet {
  std::map<std::string, std::shared_ptr<Counted<FailRule>>> fails;
  std::map<std::string, std::shared_ptr<Counted<FlipRule>>> flips;
  std::vector<SlowRule> slows;
  std::vector<SlowRule> lates;
  std::vector<Line> xids;
  std::vector<Line> values;  // numbers for NVML; later lines win
};

// Splits `key[.device]=value` lines; empty lines and `#` comments are skipped. Lines without `=` go to `bad`.
std::vector<Line> split_lines(const std::string& text, std::vector<std::string>& bad);

// Builds a set from lines; counters of lines that `old` (may be null) has too live on. Unreadable lines go to `bad`.
std::unique_ptr<RuleSet> build_rules(const std::vector<Line>& lines, const RuleSet* old, std::vector<std::string>& bad);

// The lines the environment gives.
std::vector<Line> environment_lines();

// "79", "79:0" or "79:0:3" → code and device. False when it is none of these.
bool parse_xid(const std::string& value, uint64_t& code, int& device);

}  // namespace loretoken::sim::inject

#endif  // LORETOKEN_SIM_INJECT_RULES_H
