// LORETOKEN_CHECK=strict: an address outside the reach set is an unmapped address, so a missed pointer faults at once.
#include "driver/driver.h"
#include "memory/page_table.h"
#include "residency/engine.h"

namespace loretoken {

CUresult Engine::isolate(const ReachSet& set) {
  Lock lock(mutex_);
  for (Unit* unit : units()) {
    if (unit->state.load(std::memory_order_acquire) != UnitState::kRaw || unit->handle == 0) continue;
    // Pinned for a reason other than its size: something outside any reach set uses it.
    const bool pinned = (unit->pins.load() & ~(1u << static_cast<int>(Pin::kSmall))) != 0;
    if (pinned || set.contains(unit)) {
      if (unit->hidden) {
        if (const CUresult result = map(*unit); result != CUDA_SUCCESS) return result;
      }
    } else if (!unit->hidden && unit->holds.load(std::memory_order_acquire) == 0) {
      unmap(*unit);
    }
  }
  return CUDA_SUCCESS;
}

void Engine::add_everything(ReachSet* set) const {
  for (Unit* unit : units()) {
    if ((unit->flags.load(std::memory_order_acquire) & kFlagIdle) != 0) continue;
    if (unit->state.load(std::memory_order_acquire) == UnitState::kUnbacked) continue;
    set->add(unit);
  }
}

}  // namespace loretoken
