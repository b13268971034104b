// The hook table against the driver's header: no function that touches memory or orders work is forgotten.
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>

namespace {

std::string read(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::set<std::string> table() {
  return {
#define HOOK(symbol, kind, what) #symbol,
#define HOOK_PT(symbol, variant, kind, what) #symbol, #variant,
#define PASS(symbol, why) #symbol,
#define PASS_PT(symbol, variant, why) #symbol, #variant,
#include "hooks/table.def"
  };
}

std::set<std::string> hooked() {
  return {
#define HOOK(symbol, kind, what) #symbol,
#define HOOK_PT(symbol, variant, kind, what) #symbol, #variant,
#include "hooks/table.def"
  };
}

// Every function name in cuda.h: declarations, and what macros rename them to.
std::set<std::string> header_functions() {
  const std::string text = read(LORETOKEN_CUDA_HEADER);
  std::set<std::string> names;
  const std::regex declared("CUresult\\s+CUDAAPI\\s+(cu[A-Z]\\w*)\\s*\\(");
  const std::regex renamed("#define\\s+cu[A-Z]\\w*\\s+(cu[A-Z]\\w*_v\\d)\\s");
  const std::regex per_thread("#define\\s+cu[A-Z]\\w*\\s+__CUDA_API_PT([SD])([SZ])\\((cu[A-Z]\\w*)\\)");
  for (const std::regex* form : {&declared, &renamed}) {
    for (std::sregex_iterator at(text.begin(), text.end(), *form), end; at != end; ++at) names.insert((*at)[1]);
  }
  for (std::sregex_iterator at(text.begin(), text.end(), per_thread), end; at != end; ++at) {
    names.insert((*at)[3]);
    names.insert((*at)[3].str() + ((*at)[1] == "S" ? "_ptsz" : "_ptds"));
  }
  return names;
}

TEST(HookTable, NamesEveryFunctionOfTheDriver) {
  const std::set<std::string> known = table();
  const std::set<std::string> functions = header_functions();
  ASSERT_GT(functions.size(), 500u);
  for (const std::string& name : functions) EXPECT_TRUE(known.contains(name)) << name << " is neither HOOK nor PASS";
}

TEST(HookTable, NamesNothingTwice) {
  std::multiset<std::string> all;
  const char* lines[] = {
#define HOOK(symbol, kind, what) #symbol,
#define HOOK_PT(symbol, variant, kind, what) #symbol, #variant,
#define PASS(symbol, why) #symbol,
#define PASS_PT(symbol, variant, why) #symbol, #variant,
#include "hooks/table.def"
  };
  for (const char* name : lines) all.insert(name);
  for (const std::string& name : table()) EXPECT_EQ(all.count(name), 1u) << name;
}

// A function with device memory in its signature and all its variants are treated alike: hooking one and passing the
// per-thread one would miss work.
TEST(HookTable, PerThreadVariantsAreHookedWithTheirFunction) {
  const std::set<std::string> hooks = hooked();
  for (const std::string& name : table()) {
    for (const std::string suffix : {"_ptsz", "_ptds"}) {
      if (table().contains(name + suffix)) {
        EXPECT_EQ(hooks.contains(name), hooks.contains(name + suffix)) << name << suffix;
      }
    }
  }
}

TEST(HookTable, EveryLineSaysWhatOrWhy) {
  const char* texts[] = {
#define HOOK(symbol, kind, what) what,
#define HOOK_PT(symbol, variant, kind, what) what,
#define PASS(symbol, why) why,
#define PASS_PT(symbol, variant, why) why,
#define NVML_HOOK(symbol, kind, what) what,
#include "hooks/table.def"
  };
  for (const std::string text : texts) EXPECT_GT(text.size(), 5u);
}

}  // namespace
