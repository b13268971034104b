// The exported functions: for each hook of the table a symbol that jumps to its entry.
//
// The jump is written in assembly because the entry is a template instance, which cannot carry a C name; arguments and
// return address pass through untouched. loretoken_hook_<symbol> is the same address under a hidden name, so that every
// door hands out one pointer per hook.
#include "loader/entries.h"

#include <algorithm>
#include <array>

#include "loader/entry.h"

#if defined(__x86_64__)
#define LORETOKEN_JUMP(symbol) "endbr64\n\tjmp *loretoken_entry_" #symbol "(%rip)\n\t"
#elif defined(__aarch64__)
#define LORETOKEN_JUMP(symbol)                                                                         \
  "hint #34\n\tadrp x16, loretoken_entry_" #symbol "\n\tldr x16, [x16, :lo12:loretoken_entry_" #symbol \
  "]\n\tbr "                                                                                           \
  "x16\n\t"
#else
#error "libloretoken.so supports x86-64 and aarch64"
#endif

#define LORETOKEN_EXPORT(symbol)                                                                             \
  __asm__(".pushsection .text\n\t.p2align 4\n\t.globl " #symbol "\n\t.type " #symbol                         \
          ", %function\n\t.globl loretoken_hook_" #symbol "\n\t.hidden loretoken_hook_" #symbol "\n" #symbol \
          ":\nloretoken_hook_" #symbol ":\n\t" LORETOKEN_JUMP(symbol) ".size " #symbol ", . - " #symbol      \
                                                                      "\n\t.popsection\n");                  \
  extern "C" __attribute__((visibility("hidden"))) char loretoken_hook_##symbol;

#define LORETOKEN_ENTRY(symbol, function)                                          \
  extern "C" __attribute__((visibility("hidden"))) void* loretoken_entry_##symbol; \
  void* loretoken_entry_##symbol = reinterpret_cast<void*>(function);              \
  LORETOKEN_EXPORT(symbol)

namespace loretoken::loader {

using loretoken::driver;
using loretoken::nvml;

#define HOOK(symbol, kind, what) \
  LORETOKEN_ENTRY(symbol, (&Entry<&hooks::symbol, decltype(&::symbol)>::call<[] { return driver().symbol; }>))
#define HOOK_PT(symbol, variant, kind, what)                                                                     \
  LORETOKEN_ENTRY(symbol,                                                                                        \
                  (&Entry<&hooks::symbol, decltype(&::symbol)>::call_pt<[] { return driver().symbol; }, false>)) \
  LORETOKEN_ENTRY(variant,                                                                                       \
                  (&Entry<&hooks::symbol, decltype(&::symbol)>::call_pt<[] { return driver().variant; }, true>))
#define NVML_HOOK(symbol, kind, what) \
  LORETOKEN_ENTRY(symbol, (&Entry<&hooks::symbol, decltype(&::symbol)>::call<[] { return nvml().symbol; }>))
#include "hooks/table.def"

namespace {

template <class F>
void* address(F function) {
  return reinterpret_cast<void*>(function);
}

constexpr Hooked kTable[] = {
#define HOOK(symbol, kind, what) {#symbol, &loretoken_hook_##symbol, [] { return address(driver().symbol); }},
#define HOOK_PT(symbol, variant, kind, what)                                    \
  {#symbol, &loretoken_hook_##symbol, [] { return address(driver().symbol); }}, \
      {#variant, &loretoken_hook_##variant, [] { return address(driver().variant); }},
#define NVML_HOOK(symbol, kind, what) {#symbol, &loretoken_hook_##symbol, [] { return address(nvml().symbol); }},
#include "hooks/table.def"
};

// Sorted by name while compiling, so that dlsym can search without preparing anything.
constexpr auto kHooked = [] {
  auto sorted = std::to_array(kTable);
  std::sort(sorted.begin(), sorted.end(), [](const Hooked& a, const Hooked& b) { return a.name < b.name; });
  return sorted;
}();

constexpr Passed kPassed[] = {
#define PASS(symbol, why) {#symbol, [] { return address(driver().symbol); }},
#define PASS_PT(symbol, variant, why) \
  {#symbol, [] { return address(driver().symbol); }}, {#variant, [] { return address(driver().variant); }},
#include "hooks/table.def"
};

}  // namespace

std::span<const Hooked> hooked_functions() {
  return kHooked;
}
std::span<const Passed> passed_functions() {
  return kPassed;
}

}  // namespace loretoken::loader
