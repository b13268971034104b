#include "inject.h"

#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <set>
#include <sstream>
#include <thread>

#include "call_count.h"
#include "rules.h"

namespace loretoken::sim::inject {

namespace {

int64_t coarse_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1000000;
}

// Identity of the control file's content without reading it.
struct Stamp {
  int64_t seconds = 0, nanoseconds = 0, size = -1;
  ino_t inode = 0;
  bool operator==(const Stamp&) const = default;
};

Stamp stamp_of(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return {};
  return {info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_size, info.st_ino};
}

// Publishes rule sets. Readers take the current pointer with one acquire load and keep no reference, so an old set is
// kept until the process ends; sets are small and change by hand.
class Injector {
 public:
  Injector() {
    if (const char* path = std::getenv("LORETOKEN_SIM_CONTROL")) control_ = path;
    std::lock_guard lock(mutex_);
    load();
  }

  const RuleSet* rules() noexcept {
    if (!control_.empty()) recheck();
    return current_.load(std::memory_order_acquire);
  }

  std::vector<Xid> xids() noexcept {
    rules();
    std::lock_guard lock(mutex_);
    return xids_;
  }

  std::atomic<ListRanges> list_ranges{nullptr};

 private:
  void recheck() noexcept {
    const int64_t now = coarse_ms();
    int64_t due = next_check_.load(std::memory_order_relaxed);
    if (now < due || !next_check_.compare_exchange_strong(due, now + kRecheckMs)) return;
    std::lock_guard lock(mutex_);
    if (stamp_of(control_) == stamp_) return;
    load();
  }

  void load() {
    std::vector<std::string> bad;
    std::vector<Line> lines = environment_lines();
    if (!control_.empty()) {
      stamp_ = stamp_of(control_);
      std::ifstream file(control_);
      std::stringstream text;
      text << file.rdbuf();
      for (Line& line : split_lines(text.str(), bad)) lines.push_back(std::move(line));
    }
    sets_.push_back(build_rules(lines, sets_.empty() ? nullptr : sets_.back().get(), bad));
    for (const std::string& line : bad)
      if (complained_.insert(line).second)
        std::fprintf(stderr, "loretoken-sim: cannot read rule \"%s\"\n", line.c_str());
    for (const Line& line : sets_.back()->xids) {
      if (!told_.insert(line.text()).second) continue;
      Xid xid{};
      parse_xid(line.value, xid.code, xid.device);
      xids_.push_back(xid);
    }
    current_.store(sets_.back().get(), std::memory_order_release);
  }

  std::string control_;
  std::atomic<int64_t> next_check_{0};
  std::atomic<const RuleSet*> current_{nullptr};
  std::mutex mutex_;
  Stamp stamp_;
  std::vector<std::unique_ptr<RuleSet>> sets_;
  std::set<std::string> complained_, told_;
  std::vector<Xid> xids_;
};

// Never destroyed: worker threads may outlive the exit handlers.
Injector& injector() {
  static Injector* instance = new Injector;
  return *instance;
}

void sleep_by(const std::vector<SlowRule>& rules, const char* name) {
  for (const SlowRule& slow : rules)
    if (slow.what == name) std::this_thread::sleep_for(std::chrono::microseconds(slow.microseconds));
}

bool due(Counted<FailRule>& counted, const char* name) {
  if (counted.rule.symbol != "*" && counted.rule.symbol != name) return false;
  const uint64_t met = counted.met.fetch_add(1, std::memory_order_relaxed) + 1;
  return met == counted.rule.n || (counted.rule.and_later && met > counted.rule.n);
}

uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

void set_value(Health& health, const std::string& key, const std::string& text) {
  const bool hex = text.size() > 2 && text[0] == '0' && (text[1] | 0x20) == 'x';
  const uint64_t integer = std::strtoull(text.c_str(), nullptr, hex ? 16 : 10);
  const double number = hex ? static_cast<double>(integer) : std::strtod(text.c_str(), nullptr);
  if (key == "temperature") health.temperature = number;
  if (key == "temperature_margin") health.temperature_margin = number;
  if (key == "power_watts") health.power_watts = number;
  if (key == "throttle") health.throttle = integer;
  if (key == "utilization") health.utilization = static_cast<unsigned>(integer);
  if (key == "memory_utilization") health.memory_utilization = static_cast<unsigned>(integer);
  if (key == "ecc_errors") health.ecc_errors = integer;
}

}  // namespace

CUresult on_call(const char* name) noexcept {
  count_call(name);
  const RuleSet* rules = injector().rules();
  if (rules->fails.empty() && rules->slows.empty()) return CUDA_SUCCESS;
  sleep_by(rules->slows, name);
  CUresult result = CUDA_SUCCESS;
  for (auto& [text, counted] : rules->fails)
    if (due(*counted, name) && result == CUDA_SUCCESS) result = static_cast<CUresult>(counted->rule.code);
  return result;
}

void on_return(const char* name) noexcept {
  sleep_by(injector().rules()->lates, name);
}

void before_op(const char* what, const char* detail) noexcept {
  const RuleSet* rules = injector().rules();
  if (rules->slows.empty() && rules->flips.empty()) return;
  sleep_by(rules->slows, what);
  if (detail) sleep_by(rules->slows, detail);
  for (auto& [text, counted] : rules->flips) {
    if (counted->met.fetch_add(1, std::memory_order_relaxed) + 1 != counted->rule.n) continue;
    const ListRanges list = injector().list_ranges.load();
    if (!list) continue;
    const FlipRule& rule = counted->rule;
    if (rule.behind.empty())
      flip_bit(list(false), rule.seed);
    else
      flip_behind(list(rule.host), rule.behind, rule.offset);
  }
}

void set_range_source(ListRanges list) noexcept {
  injector().list_ranges.store(list);
}

bool flip_bit(const std::vector<Range>& ranges, uint64_t seed) noexcept {
  uint64_t total = 0;
  for (const Range& range : ranges) total += range.bytes;
  if (total == 0) return false;
  const uint64_t draw = mix(seed);
  uint64_t place = draw % total;
  for (const Range& range : ranges) {
    if (place < range.bytes) {
      auto* byte = static_cast<unsigned char*>(range.address) + place;
      __atomic_fetch_xor(byte, static_cast<unsigned char>(1u << (draw >> 61)), __ATOMIC_RELAXED);
      return true;
    }
    place -= range.bytes;
  }
  return false;
}

size_t flip_behind(const std::vector<Range>& ranges, const std::vector<unsigned char>& bytes,
                   uint64_t offset) noexcept {
  constexpr size_t kStep = 64;
  size_t flipped = 0;
  for (const Range& range : ranges) {
    auto* start = static_cast<unsigned char*>(range.address);
    const uint64_t needed = std::max<uint64_t>(bytes.size(), offset + 1);
    for (size_t at = 0; at + needed <= range.bytes; at += kStep) {
      if (std::memcmp(start + at, bytes.data(), bytes.size()) != 0) continue;
      __atomic_fetch_xor(start + at + offset, static_cast<unsigned char>(1), __ATOMIC_RELAXED);
      ++flipped;
    }
  }
  return flipped;
}

Health health(int device) noexcept {
  Health health;
  for (const Line& line : injector().rules()->values)
    if (line.device < 0 || line.device == device) set_value(health, line.key, line.value);
  return health;
}

std::vector<Xid> xids() noexcept {
  return injector().xids();
}

}  // namespace loretoken::sim::inject
