#include "call_count.h"

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>

namespace loretoken::sim::inject {

namespace {

class CallCounter {
 public:
  CallCounter() {
    if (const char* path = std::getenv("LORETOKEN_SIM_CALLS"); path && *path) {
      path_ = path;
      std::atexit([] { counter().write(); });
    }
  }

  static CallCounter& counter() {
    static CallCounter* instance = new CallCounter;  // outlives the exit handlers
    return *instance;
  }

  void count(const char* name) {
    if (path_.empty()) return;
    std::lock_guard lock(mutex_);
    ++calls_[name];
  }

 private:
  void write() {
    if (getpid() != pid_) return;
    std::lock_guard lock(mutex_);
    std::FILE* file = std::fopen(path_.c_str(), "w");
    if (!file) {
      std::fprintf(stderr, "loretoken-sim: cannot write LORETOKEN_SIM_CALLS=%s\n", path_.c_str());
      return;
    }
    uint64_t total = 0;
    for (const auto& [name, calls] : calls_) {
      std::fprintf(file, "%s %llu\n", name.c_str(), static_cast<unsigned long long>(calls));
      total += calls;
    }
    std::fprintf(file, "* %llu\n", static_cast<unsigned long long>(total));
    std::fclose(file);
  }

  std::string path_;
  pid_t pid_ = getpid();
  std::mutex mutex_;
  std::map<std::string, uint64_t> calls_;
};

}  // namespace

void count_call(const char* name) noexcept {
  CallCounter::counter().count(name);
}

}  // namespace loretoken::sim::inject
