#include "guard/judge.h"

#include <algorithm>
#include <iterator>

namespace loretoken {
namespace {

constexpr int64_t kMilli = 1000;
constexpr int64_t kCalmHeat = 3 * kMilli;   // milli-degrees under the limit
constexpr int64_t kCalmPowerPermille = 50;  // of the enforced limit, under the limit
constexpr uint64_t kHeatReasons = nvmlClocksEventReasonSwThermalSlowdown | nvmlClocksThrottleReasonHwThermalSlowdown;
constexpr uint64_t kPowerReasons = nvmlClocksThrottleReasonHwPowerBrakeSlowdown;
constexpr uint64_t kProgramXids[] = {13, 31, 43, 45, 68, 109};

Strain strain_of(int64_t over, int64_t calm_under) {
  if (over > 0) return Strain::kBroken;
  return over <= -calm_under ? Strain::kCalm : Strain::kBetween;
}

// By the stated limit if the card told its figure, and by the card's own reasons: the worse of both. Of equals the
// stated limit, which says more than a reason.
Judgement with_reasons(const Judgement& stated, const NvmlReading& reading, uint64_t counted, int64_t figure) {
  const bool slowed = (reading.reasons.value_or(0) & counted) != 0;
  const Strain own = slowed ? Strain::kBroken : Strain::kCalm;
  if (stated.known && stated.strain >= own) return stated;
  return {own, figure, 0, stated.known};
}

Judgement by_degrees(int temperature, int64_t limit) {
  const int64_t figure = temperature * kMilli;
  return {strain_of(figure - limit, kCalmHeat), figure, limit, true};
}

// In degrees where they are known, so that figure and limit read the same for every card.
Judgement by_margin(int margin, const std::optional<int>& temperature, int64_t least) {
  const int64_t left = margin * kMilli;
  const Strain strain = strain_of(least - left, kCalmHeat);
  if (!temperature) return {strain, -left, -least, true};
  const int64_t figure = *temperature * kMilli;
  return {strain, figure, figure + left - least, true};
}

}  // namespace

Judgement judge_heat(const NvmlReading& reading, int64_t limit_milli) {
  Judgement stated;
  if (limit_milli > 0 && reading.temperature) stated = by_degrees(*reading.temperature, limit_milli);
  if (limit_milli < 0 && reading.margin) stated = by_margin(*reading.margin, reading.temperature, -limit_milli);
  return with_reasons(stated, reading, kHeatReasons, reading.temperature.value_or(0) * kMilli);
}

Judgement judge_power(const NvmlReading& reading, uint64_t milliwatts, uint32_t permille) {
  Judgement stated;
  const auto power = static_cast<int64_t>(reading.power.value_or(0));
  const auto enforced = static_cast<int64_t>(reading.power_limit.value_or(0));
  auto limit = static_cast<int64_t>(milliwatts);
  if (permille != 0 && enforced != 0) {
    const int64_t share = enforced * permille / 1000;
    limit = limit == 0 ? share : std::min(limit, share);
  }
  if (reading.power && limit != 0) {
    const int64_t calm = (enforced != 0 ? enforced : limit) * kCalmPowerPermille / 1000;
    stated = {strain_of(power - limit, calm), power, limit, true};
  }
  return with_reasons(stated, reading, kPowerReasons, power);
}

bool is_device_fault(uint64_t xid) {
  return std::find(std::begin(kProgramXids), std::end(kProgramXids), xid) == std::end(kProgramXids);
}

}  // namespace loretoken
