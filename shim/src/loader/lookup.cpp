#include "loader/lookup.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "driver/driver.h"
#include "loader/entries.h"

namespace loretoken::loader {
namespace {

struct ByPointer {
  void* real;
  void* hook;  // nullptr: a PASS line
  bool operator<(const ByPointer& other) const { return real < other.real; }
};
using PointerMap = std::vector<ByPointer>;

struct Maps {
  const void* driver_handle;
  PointerMap entries;
};
std::atomic<const Maps*> g_maps{nullptr};

const Maps* build_maps() {
  auto* maps = new Maps{driver().handle, {}};
  for (const Hooked& line : hooked_functions()) {
    // A real pointer under two names (an alias in the driver) keeps its first hook: both names mean the same function.
    if (void* real = line.real()) maps->entries.push_back({real, line.hook});
  }
  for (const Passed& line : passed_functions()) {
    if (void* real = line.real()) maps->entries.push_back({real, nullptr});
  }
  std::stable_sort(maps->entries.begin(), maps->entries.end());
  return maps;
}

// "cuMemcpy2DAsync_v2_ptsz" → "cuMemcpy2DAsync"
std::string_view base_of(std::string_view symbol) {
  for (const std::string_view suffix : {"_ptsz", "_ptds"}) {
    if (symbol.ends_with(suffix)) symbol.remove_suffix(suffix.size());
  }
  if (symbol.size() > 3 && symbol[symbol.size() - 3] == '_' && symbol[symbol.size() - 2] == 'v')
    symbol.remove_suffix(3);
  return symbol;
}

}  // namespace

Found find_by_pointer(void* real) {
  const Maps* maps = g_maps.load(std::memory_order_acquire);
  if (maps == nullptr) {
    if (driver().handle == nullptr) return {};
    const Maps* mine = build_maps();
    if (g_maps.compare_exchange_strong(maps, mine, std::memory_order_acq_rel)) {
      maps = mine;
    } else {
      delete mine;
    }
  }
  const auto at = std::lower_bound(maps->entries.begin(), maps->entries.end(), ByPointer{real, nullptr});
  if (at == maps->entries.end() || at->real != real) return {};
  return {at->hook, true};
}

void* hook_by_name(std::string_view symbol) {
  const auto lines = hooked_functions();
  const auto at = std::lower_bound(lines.begin(), lines.end(), symbol,
                                   [](const Hooked& line, std::string_view name) { return line.name < name; });
  return at != lines.end() && at->name == symbol ? at->hook : nullptr;
}

bool is_hooked_base(std::string_view base) {
  const std::string_view wanted = base_of(base);
  return std::any_of(hooked_functions().begin(), hooked_functions().end(),
                     [&](const Hooked& line) { return base_of(line.name) == wanted; });
}

}  // namespace loretoken::loader
