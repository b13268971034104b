// How a card's figures stand to their limits. device-plugin/src/guard/judge.ts judges alike.
#pragma once

#include <cstdint>

#include "guard/nvml_device.h"
#include "guard/rail.h"

namespace loretoken {

struct Judgement {
  Strain strain = Strain::kCalm;
  // What was measured and its limit. Heat: milli-degrees Celsius; both negative, as margins to slowdown, if the card
  // tells no temperature. Power: milliwatts. A limit of 0: the card itself slows down.
  int64_t figure = 0;
  int64_t limit = 0;
  bool known = false;  // whether the card told what the limit is about; if not, only its own reasons count
};

// `limit_milli`: not 0; milli-degrees above which it is broken; negative: as a margin to slowdown, below which it is.
// Broken too while the card lowers its clocks for heat, by hardware or driver. Calm begins 3 degrees under the limit.
Judgement judge_heat(const NvmlReading&, int64_t limit_milli);

// `milliwatts`, `permille` of the enforced limit: not both 0; with both the lower holds. Broken too under the hardware
// power brake; the driver's power cap does not count, it is a busy card's everyday. Calm begins 5 % of the enforced
// limit (if the card does not tell it, of the given limit) under the limit.
Judgement judge_power(const NvmlReading&, uint64_t milliwatts, uint32_t permille);

// Whether an XID says something about the card's health: not for 13, 31, 43, 45, 68 and 109, which programs cause.
bool is_device_fault(uint64_t xid);

}  // namespace loretoken
