#include "residency/access.h"

#include <mutex>

#include "base/log.h"
#include "base/settings.h"
#include "driver/driver.h"
#include "residency/engine.h"

namespace loretoken {
namespace {

// Strict check serialises operations: what one reaches is all that is mapped until the device is idle again.
std::recursive_mutex& strict_mutex() {
  static auto* mutex = new std::recursive_mutex;
  return *mutex;
}

// The part of a set that lives on one device; most sets live on one only.
bool split(const ReachSet& set, uint8_t device, ReachSet* part) {
  for (Unit* unit : set) {
    if (unit->device == device) part->add(unit);
  }
  return part->size() != 0;
}

Engine* engine_of(int ordinal) {
  Runtime* runtime = Runtime::get();
  DeviceRuntime* device = runtime != nullptr ? runtime->device(ordinal) : nullptr;
  return device != nullptr ? static_cast<Engine*>(device->residency.get()) : nullptr;
}

// Strict check waits for each operation, so a fault belongs to the one that just ran.
void report_fault(const ReachSet& set, CUresult error) {
  const char* name = nullptr;
  if (t_launching != nullptr && driver().cuFuncGetName != nullptr) driver().cuFuncGetName(&name, t_launching);
  if (t_launching != nullptr && name == nullptr && driver().cuKernelGetName != nullptr) {
    driver().cuKernelGetName(&name, reinterpret_cast<CUkernel>(t_launching));
  }
  uint64_t bytes = 0;
  for (Unit* unit : set) bytes += unit->bytes;
  if (name == nullptr) name = t_launching != nullptr ? "a kernel without a name" : "a copy, set or graph";
  log_error("strict check: error %d after %s, whose reach set was %u units of %.1f MiB", error, name, set.size(),
            static_cast<double>(bytes) / 1048576.0);
}

int device_span() {
  return Runtime::get() != nullptr ? Runtime::get()->device_count() : 0;
}

CUresult take_damage(Engine* engine) {
  return engine != nullptr ? engine->take_damage() : CUDA_SUCCESS;
}

}  // namespace

bool strict_check() {
  return settings().check == Check::kStrict;
}

// Cost per unit: one load, and two stores to its own cache line when the stream is new to it or the tick moved on.
bool mark_if_raw(const ReachSet& set, const ReachSet& held, StreamSlot& slot) {
  const uint64_t mask = slot.mask();
  const uint64_t now = set.size() != 0 ? reach_clock() : 0;
  for (Unit* unit : set) {
    if ((unit->stream_mask.load(std::memory_order_relaxed) & mask) == 0) {
      unit->stream_mask.fetch_or(mask, std::memory_order_relaxed);
    }
    unit->last_reach.store(now, std::memory_order_relaxed);
  }
  for (Unit* unit : set) {
    if (unit->state.load(std::memory_order_seq_cst) == UnitState::kRaw) continue;
    // An address left over from a freed allocation: nothing lives there, so nothing has to be raw.
    if ((unit->flags.load(std::memory_order_acquire) & kFlagIdle) != 0) continue;
    if (held.size() == 0 || !held.contains(unit)) return false;
  }
  return true;
}

void take_holds(const ReachSet& set) {
  for (Unit* unit : set) unit->holds.fetch_add(1, std::memory_order_seq_cst);
}

void drop_holds(const ReachSet& set) {
  for (Unit* unit : set) unit->holds.fetch_sub(1, std::memory_order_release);
}

CUresult prepare_slow(ReachSet& set, StreamSlot& slot) {
  if (strict_check()) strict_mutex().lock();
  if (set.everything) {
    for (int ordinal = 0; ordinal < device_span(); ++ordinal) {
      if (Engine* engine = engine_of(ordinal)) engine->add_everything(&set);
    }
  }
  CUresult result = CUDA_SUCCESS;
  int made = 0;
  for (; made < device_span() && result == CUDA_SUCCESS; ++made) {
    ReachSet part;
    Engine* engine = engine_of(made);
    if (engine == nullptr) continue;
    if (!split(set, static_cast<uint8_t>(made), &part) && !strict_check()) continue;
    if (strict_check()) {
      result = streams().synchronize(streams().mark_device(static_cast<uint8_t>(made)));
      if (result == CUDA_SUCCESS) result = engine->make_raw(part, &slot, true);
      if (result == CUDA_SUCCESS) result = engine->isolate(part);
    } else {
      result = engine->make_raw(part, &slot, false);
    }
  }
  if (result == CUDA_SUCCESS) return result;
  for (int ordinal = 0; ordinal < made - 1; ++ordinal) {
    ReachSet part;
    if (split(set, static_cast<uint8_t>(ordinal), &part)) drop_holds(part);
  }
  if (strict_check()) strict_mutex().unlock();
  return result;
}

CUresult hold_mapped(ReachSet& set) {
  RelaxedCapture relaxed;
  if (strict_check()) strict_mutex().lock();
  ReachSet done;
  CUresult result = CUDA_SUCCESS;
  for (int ordinal = 0; ordinal < device_span() && result == CUDA_SUCCESS; ++ordinal) {
    ReachSet part;
    Engine* engine = engine_of(ordinal);
    if (engine == nullptr || !split(set, static_cast<uint8_t>(ordinal), &part)) continue;
    result = engine->make_raw(part, nullptr, true);
    for (Unit* unit : part) {
      if (result == CUDA_SUCCESS) done.add(unit);
    }
  }
  if (result == CUDA_SUCCESS) return result;
  drop_holds(done);
  if (strict_check()) strict_mutex().unlock();
  return result;
}

void drop_mapped(const ReachSet& set) {
  drop_holds(set);
  if (strict_check()) strict_mutex().unlock();
}

CUresult damage_before(const ReachSet& set) {
  CUresult result = CUDA_SUCCESS;
  int last = -1;
  for (Unit* unit : set) {
    if (unit->device == last) continue;  // most sets live on one device
    last = unit->device;
    if (const CUresult damage = take_damage(engine_of(last)); damage != CUDA_SUCCESS) result = damage;
  }
  return result;
}

CUresult damage_found() {
  CUresult result = CUDA_SUCCESS;
  for (int ordinal = 0; ordinal < device_span(); ++ordinal) {
    if (const CUresult damage = take_damage(engine_of(ordinal)); damage != CUDA_SUCCESS) result = damage;
  }
  return result;
}

CUresult finish_slow(const ReachSet& set, StreamSlot& slot) {
  CUresult result = CUDA_SUCCESS;
  if (strict_check()) {
    result = streams().synchronize({streams().mark(slot)});
    if (result != CUDA_SUCCESS) report_fault(set, result);
  }
  drop_holds(set);
  if (strict_check()) strict_mutex().unlock();
  return result;
}

CUresult finish_alone(StreamSlot& slot) {
  const CUresult result = streams().synchronize({streams().mark(slot)});
  if (result != CUDA_SUCCESS) report_fault({}, result);
  return result;
}

}  // namespace loretoken
