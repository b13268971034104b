// What a launch that faulted under the strict check was given: the user's and our own first question.
#include <cstring>

#include "base/log.h"
#include "memory/page_table.h"
#include "reach/core.h"

namespace loretoken {
namespace {

constexpr uint32_t kMostLines = 40;
constexpr uint64_t kLowestAddress = uint64_t{1} << 20;
constexpr uint64_t kHighestAddress = uint64_t{1} << 48;

const char* where(uint64_t address) {
  if (window().contains(address)) {
    const Unit* unit = unit_at(address);
    if (unit == nullptr) return "ours, no allocation";
    return (unit->flags.load() & kFlagIdle) != 0 ? "ours, freed" : "ours";
  }
  const std::optional<KnownRange> range = known_range_at(address);
  if (!range) return "not known";
  return range->kind == RangeKind::kPinned ? "pinned host memory" : "memory mapped or managed by the driver";
}

}  // namespace

void log_parameters(const FunctionInfo& info, void** params) {
  uint32_t lines = 0;
  for (const ParamSlice& slice : info.slices) {
    if (params == nullptr || params[slice.index] == nullptr) continue;
    for (uint32_t word = 0; word < slice.words && lines < kMostLines; ++word) {
      uint64_t value;
      std::memcpy(&value, static_cast<const unsigned char*>(params[slice.index]) + uint64_t{4} * word, sizeof(value));
      if (value < kLowestAddress || value >= kHighestAddress) continue;
      const char* place = where(value);
      if (word % 2 != 0 && std::strcmp(place, "not known") == 0) continue;
      log_error("  parameter %u + %u: 0x%llx (%s)", slice.index, 4 * word, static_cast<unsigned long long>(value),
                place);
      ++lines;
    }
  }
}

}  // namespace loretoken
