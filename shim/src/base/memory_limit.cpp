#include "base/memory_limit.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace loretoken {
namespace {

std::string text_of(const std::string& path) {
  std::string text;
  if (std::FILE* file = std::fopen(path.c_str(), "re")) {
    char part[1024];
    for (size_t count = 0; (count = std::fread(part, 1, sizeof part, file)) != 0;) text.append(part, count);
    std::fclose(file);
  }
  return text;
}

// "max", no such file or anything else that is no number: no limit.
uint64_t limit_in(const std::string& path) {
  const std::string text = text_of(path);
  char* end = nullptr;
  const unsigned long long bytes = std::strtoull(text.c_str(), &end, 10);
  return end == text.c_str() ? UINT64_MAX : bytes;
}

// The least limit of the group and of those it lies in, up to the root of the mount.
uint64_t least_limit(const std::string& mount, std::string group, const char* file) {
  uint64_t least = limit_in(mount + "/" + file);
  while (group.size() > 1 && group[0] == '/') {
    least = std::min(least, limit_in(mount + group + "/" + file));
    group.resize(group.rfind('/'));
  }
  return least;
}

// Of "hierarchy:controllers:path" lines the path for `controllers`; "": the line of version 2.
std::string group_of(const std::string& lines, const std::string& controllers) {
  for (size_t begin = 0; begin < lines.size();) {
    const size_t end = std::min(lines.find('\n', begin), lines.size());
    const std::string line = lines.substr(begin, end - begin);
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second != std::string::npos) {
      const std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
      if (names == "," + controllers + "," ||
          (!controllers.empty() && names.find("," + controllers + ",") != std::string::npos)) {
        return line.substr(second + 1);
      }
    }
    begin = end + 1;
  }
  return "/";
}

}  // namespace

uint64_t usable_memory(const char* proc, const char* cgroups) {
  const uint64_t machine =
      static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGE_SIZE));
  const std::string groups = text_of(std::string(proc) + "/self/cgroup");
  const std::string mount = cgroups;
  return std::min({machine, least_limit(mount, group_of(groups, ""), "memory.max"),
                   least_limit(mount + "/memory", group_of(groups, "memory"), "memory.limit_in_bytes")});
}

}  // namespace loretoken
