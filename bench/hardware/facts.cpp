// Asks the driver about its own doors: does every function of a list (stdin, one exported cu* name per line) come from
// cuGetProcAddress_v2 as a pointer that some exported symbol also has? A table of hooks keyed by the exported
// symbols' addresses answers only for such pointers; the others are printed.
//
// Output: one line per finding, then counts. Exit 0 whatever is found, 1 when there is no driver.
//   none    base version flags pointer     a pointer that no listed export has
//   other   base version flags export      a pointer of an export of another base name
//   g++ -O1 -std=c++17 facts.cpp -I <folder of cuda.h> -ldl -o facts && nm -D --defined-only libcuda.so.1 | ... |
//   ./facts
#include <cuda.h>
#include <dlfcn.h>

#include <cstdio>
#include <iostream>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace {

// cuMemAlloc_v2 → cuMemAlloc, cuMemcpyHtoD_v2_ptds → cuMemcpyHtoD: the name that cuGetProcAddress wants.
std::string base_of(std::string name) {
  for (const char* suffix : {"_ptsz", "_ptds"})
    if (name.size() > 5 && name.compare(name.size() - 5, 5, suffix) == 0) name.resize(name.size() - 5);
  const auto at = name.rfind("_v");
  if (at != std::string::npos && at + 2 < name.size() &&
      name.find_first_not_of("0123456789", at + 2) == std::string::npos)
    name.resize(at);
  return name;
}

using GetProcAddress = CUresult (*)(const char*, void**, int, cuuint64_t, CUdriverProcAddressQueryResult*);

}  // namespace

int main() {
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) {
    std::fprintf(stderr, "no driver: %s\n", dlerror());
    return 1;
  }
  const auto init = reinterpret_cast<CUresult (*)(unsigned)>(dlsym(library, "cuInit"));
  const auto version = reinterpret_cast<CUresult (*)(int*)>(dlsym(library, "cuDriverGetVersion"));
  const auto get = reinterpret_cast<GetProcAddress>(dlsym(library, "cuGetProcAddress_v2"));
  if (init == nullptr || version == nullptr || get == nullptr || init(0) != CUDA_SUCCESS) {
    std::fprintf(stderr, "the driver does not start, or has no cuGetProcAddress_v2\n");
    return 1;
  }
  int driver = 0;
  version(&driver);

  std::map<void*, std::vector<std::string>> exports;
  std::set<std::string> bases;
  std::string name;
  size_t listed = 0, absent = 0;
  while (std::getline(std::cin, name)) {
    if (name.rfind("cu", 0) != 0) continue;
    ++listed;
    void* pointer = dlsym(library, name.c_str());
    if (pointer == nullptr) {
      ++absent;
      continue;
    }
    exports[pointer].push_back(name);
    bases.insert(base_of(name));
  }

  size_t asked = 0, found = 0, none = 0, other = 0, not_found = 0;
  std::set<std::string> never = bases;
  std::set<std::string> said;
  const std::vector<int> versions = {11000, 11010, 11020, 11030, 11040, 11050, 11060, 11070, 11080, 12000,
                                     12010, 12020, 12030, 12040, 12050, 12060, 12080, 12090, 13000};
  for (const std::string& base : bases) {
    for (const int at : versions) {
      for (const cuuint64_t flags :
           {CU_GET_PROC_ADDRESS_LEGACY_STREAM, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM}) {
        void* pointer = nullptr;
        CUdriverProcAddressQueryResult status{};
        ++asked;
        if (get(base.c_str(), &pointer, at, flags, &status) != CUDA_SUCCESS || pointer == nullptr) {
          ++not_found;
          continue;
        }
        never.erase(base);
        const auto hit = exports.find(pointer);
        char line[400];
        if (hit == exports.end()) {
          ++none;
          Dl_info info{};
          const bool known = dladdr(pointer, &info) != 0 && info.dli_sname != nullptr;
          std::snprintf(
              line, sizeof line, "none %s flags=%d %s+%#zx", base.c_str(), static_cast<int>(flags),
              known ? info.dli_sname : "?",
              known ? static_cast<size_t>(static_cast<char*>(pointer) - static_cast<char*>(info.dli_saddr)) : 0);
          if (said.insert(line).second) std::printf("%s first_version=%d\n", line, at);
          continue;
        }
        ++found;
        bool same = false;
        for (const std::string& exported : hit->second) same |= base_of(exported) == base;
        if (same) continue;
        ++other;
        std::snprintf(line, sizeof line, "other %s flags=%d %s", base.c_str(), static_cast<int>(flags),
                      hit->second.front().c_str());
        if (said.insert(line).second) std::printf("%s first_version=%d\n", line, at);
      }
    }
  }
  for (const auto& [pointer, names] : exports) {
    if (names.size() < 2) continue;
    std::printf("alias");
    for (const std::string& alias : names) std::printf(" %s", alias.c_str());
    std::printf("\n");
  }
  for (const std::string& base : never) std::printf("never %s (exported, no version gives it)\n", base.c_str());
  std::printf(
      "driver %d: %zu exports listed (%zu absent), %zu bases, %zu asked, %zu found, %zu none, %zu other, %zu no such "
      "version\n",
      driver, listed, absent, bases.size(), asked, found, none, other, not_found);
  return 0;
}
