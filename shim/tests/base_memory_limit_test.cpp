#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/memory_limit.h"

namespace loretoken {
namespace {

class MemoryLimit : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/loretoken-memory-XXXXXX";
    folder_ = mkdtemp(name);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void put(const std::string& path, const std::string& text) {
    const std::filesystem::path file = folder_ + "/" + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  uint64_t usable() const { return usable_memory((folder_ + "/proc").c_str(), (folder_ + "/cgroup").c_str()); }

  std::string folder_;
  const uint64_t machine_ =
      static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGE_SIZE));
};

TEST_F(MemoryLimit, WithoutGroupsItIsTheMachines) {
  EXPECT_EQ(usable(), machine_);
}

TEST_F(MemoryLimit, InAContainerItsGroupIsTheRoot) {
  put("proc/self/cgroup", "0::/\n");
  put("cgroup/memory.max", "268435456\n");
  EXPECT_EQ(usable(), 268435456u);
  put("cgroup/memory.max", "max\n");
  EXPECT_EQ(usable(), machine_);
}

TEST_F(MemoryLimit, EveryLevelCounts) {
  put("proc/self/cgroup", "0::/user.slice/job\n");
  put("cgroup/user.slice/memory.max", "3000000\n");
  put("cgroup/user.slice/job/memory.max", "4000000\n");
  EXPECT_EQ(usable(), 3000000u);
  put("cgroup/user.slice/job/memory.max", "2000000\n");
  EXPECT_EQ(usable(), 2000000u);
}

TEST_F(MemoryLimit, VersionOneToo) {
  put("proc/self/cgroup", "12:cpu,cpuacct:/other\n9:memory,hugetlb:/job\n1:name=systemd:/\n");
  put("cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  put("cgroup/memory/job/memory.limit_in_bytes", "5000000\n");
  EXPECT_EQ(usable(), 5000000u);
}

TEST_F(MemoryLimit, WhatIsNoNumberIsNoLimit) {
  put("proc/self/cgroup", "garbage\n::\n0::relative\n");
  put("cgroup/memory.max", "");
  EXPECT_EQ(usable(), machine_);
}

}  // namespace
}  // namespace loretoken
