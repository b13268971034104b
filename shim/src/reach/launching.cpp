// Launches and graph launches: reach, raw, call, learn.
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "base/clock.h"
#include "guard/policy.h"
#include "reach/core.h"
#include "report/counters.h"

namespace loretoken {
namespace {

// Not a code of the driver's: the operation was not queued and is to be tried again.
constexpr auto kAgain = static_cast<CUresult>(0x7fff0001);
constexpr int kMostRounds = 16;

enum class Need { kNothing, kPlan, kReport, kClass, kManagedScan, kAnew };

constexpr uint64_t kReportPatienceNs = 2'000'000;

const ReachSet kNoUnits{};

bool contains_all(const ReachSet& set, const HolderRange& range) {
  if (!window().contains(range.base)) return true;
  for (uint64_t at = range.base; at < range.base + range.bytes;) {
    Unit* unit = unit_at(at);
    if (unit == nullptr || at - unit->base >= unit->bytes || !set.contains(unit)) return false;
    at = unit->base + unit->bytes;
  }
  return true;
}

}  // namespace

void ReachCore::await_reports(const Behaviour& behaviour) {
  const uint64_t until = now_ns() + kReportPatienceNs;
  for (poll(); FunctionTable::awaits_reports(behaviour) && now_ns() < until; poll()) usleep(10);
}

bool ReachCore::launch_plainly(FunctionInfo& info, void** params, void** extra, StreamSlot& slot, DriverCall call,
                               CUresult* result) {
  if (strict_check() || policy().pointers.load(std::memory_order_relaxed) != Pointers::kLearned ||
      streams().any_capture())
    return false;
  Section section;
  ReachSet set;
  Walk walk(&set);
  walk_params(info, params, extra, &walk);
  if (walk.met_holders() || walk.managed() || set.everything) return false;
  Behaviour& behaviour = info.behaviour(walk.places());
  if (!functions.passes_unscanned(behaviour) || !mark_if_raw(set, kNoUnits, slot)) return false;
  *result = call();
  streams().submitted(slot);
  functions.count_unscanned(behaviour);
  if (walk.host_bytes_read() != 0) {
    counters(slot.device).host_scans.fetch_add(walk.host_bytes_read(), std::memory_order_relaxed);
  }
  return true;
}

CUresult ReachCore::launch(FunctionInfo& info, void** params, void** extra, StreamSlot& slot, DriverCall call) {
  counters(slot.device).launches.fetch_add(1, std::memory_order_relaxed);
  CUresult result = CUDA_SUCCESS;
  if (launch_plainly(info, params, extra, slot, call, &result)) return result;
  t_launching = info.handle;
  result = operate([&](Walk& walk) { walk_params(info, params, extra, &walk); },
                   [&](uint64_t places) -> Behaviour& { return info.behaviour(places); },
                   [&](Behaviour& behaviour, bool holders) { return functions.wants_scan(behaviour, holders); },
                   Stores::kReached, slot, call);
  t_launching = nullptr;
  if (strict_check() && (result == CUDA_ERROR_ILLEGAL_ADDRESS || result == CUDA_ERROR_LAUNCH_FAILED)) {
    log_parameters(info, params);
  }
  return result;
}

CUresult ReachCore::operate(Roots roots, FunctionRef<Behaviour&(uint64_t)> behaviour_of,
                            FunctionRef<bool(Behaviour&, bool)> wants_scan, Stores stores, StreamSlot& slot,
                            DriverCall call) {
  if (streams().capturing(slot)) return call();
  if (strict_check()) poll();
  const bool strict = policy().pointers.load(std::memory_order_relaxed) == Pointers::kStrict;
  if (strict) {
    if (const CUresult result = scan_before(roots, slot, false); result != CUDA_SUCCESS) return result;
  }
  std::optional<bool> wanted;
  bool planned = false;
  bool awaited = false;
  bool managed_scanned = strict;
  std::vector<HolderRange> plan;
  ScanRequest request;
  ScanPlace place;
  uint64_t number = 0;
  for (;;) {
    Need need = Need::kNothing;
    Closure closure;
    bool managed = false;
    bool met_holders = false;
    bool read_host = false;  // memory that the host may change before the kernel reads it
    uint64_t version = 0;
    uint64_t places = 0;
    Behaviour* behaviour = nullptr;
    const ReachSet* reached = nullptr;
    const CUresult result = with_raw(
        slot,
        [&](ReachSet& set) {
          reached = &set;
          closure = {};
          version = edges.version();
          Walk walk(&set);
          roots(walk);
          met_holders = walk.met_holders();
          if (met_holders) walk.close(edges, &closure);
          managed = walk.managed();
          places = walk.places();
          read_host = walk.host_bytes_read() != 0;
          if (walk.host_bytes_read() != 0) {
            counters(slot.device).host_scans.fetch_add(walk.host_bytes_read(), std::memory_order_relaxed);
          }
        },
        [&]() -> CUresult {
          behaviour = &behaviour_of(places);
          // While room was made, a report may have told of more that is held.
          if (met_holders && edges.version() != version) {
            need = Need::kAnew;
          } else if (closure.copy_pending && packing()) {
            need = Need::kReport;
          } else if (managed && !managed_scanned && packing()) {
            need = Need::kManagedScan;
          } else if (!awaited && FunctionTable::awaits_reports(*behaviour)) {
            need = Need::kClass;
          }
          if (need != Need::kNothing) return kAgain;
          if (!wanted) wanted = wants_scan(*behaviour, closure.holders) || managed || strict || reached->everything;
          if (!*wanted) return call();
          if (!planned) {
            need = Need::kPlan;
            return kAgain;
          }
          const bool known =
              stores == Stores::kReached && !closure.pending && !managed && !read_host && !reached->everything;
          number = sequence.announce(known ? reached : nullptr);
          const CUresult launched = call();
          if (launched != CUDA_SUCCESS || plan.empty()) {
            if (launched == CUDA_SUCCESS) FunctionTable::scanned(*behaviour, {});
            sequence.done(number);
            return launched;
          }
          request.holders = std::move(plan);
          request.behaviour = behaviour;
          request.number = number;
          scan_behind(std::move(request), *reached, slot, &place);
          return launched;
        });
    if (need == Need::kNothing) {
      // Until a report is read its holders count as pending, and launches on them come the long way.
      if (met_holders) poll();
      if ((strict || strict_check()) && number != 0) wait_for(number);
      return result;
    }
    if (result != kAgain) return result;  // made raw failed
    if (need == Need::kPlan) {
      plan = gather(roots, &request);
      if (!plan.empty()) place = reserve(slot);
      planned = true;
    } else if (need == Need::kClass) {
      await_reports(*behaviour);
      awaited = true;
    } else if (need == Need::kManagedScan) {
      if (const CUresult scanned = scan_before(roots, slot, true); scanned != CUDA_SUCCESS) return scanned;
      managed_scanned = true;
    } else if (need == Need::kReport) {
      const uint64_t begin = now_ns();
      poll();
      usleep(10);
      counters(slot.device).wait_ns.fetch_add(now_ns() - begin, std::memory_order_relaxed);
    }
  }
}

ScanPlace ReachCore::reserve(const StreamSlot& slot) const {
  Scanner* scanner = scanner_for(slot);
  return scanner != nullptr ? scanner->reserve() : ScanPlace();
}

// What is raw and marked for the stream may be scanned behind it; the rest of the plan has gone meanwhile.
void ReachCore::scan_behind(ScanRequest request, const ReachSet& set, StreamSlot& slot, ScanPlace* place) {
  if (std::erase_if(request.holders, [&](const HolderRange& range) { return !contains_all(set, range); }) != 0) {
    request.parts.clear();
  }
  Scanner* scanner = place->scanner();
  if (scanner == nullptr || request.holders.empty()) {
    sequence.done(request.number);
    return;
  }
  if (request.behaviour != nullptr) request.behaviour->scans_queued.fetch_add(1, std::memory_order_relaxed);
  scanner->queue(std::move(request), slot, std::move(*place));
}

std::vector<HolderRange> ReachCore::gather(Roots roots, ScanRequest* request) {
  ReachSet set;
  std::vector<uint64_t> addresses;
  std::vector<uint64_t> through_memory;
  Closure closure;
  closure.reached = &through_memory;
  Walk walk(&set);
  walk.record = &addresses;
  roots(walk);
  walk.close(edges, &closure);
  std::vector<HolderRange> plan;
  for (const uint64_t address : addresses) plan.push_back(holder_of(address));
  std::erase_if(plan, [](const HolderRange& range) { return range.bytes == 0; });
  if (request != nullptr) {
    request->named = plan;
    request->readable.clear();
    for (const uint64_t page : through_memory) request->readable.push_back(page_of(page));
    std::sort(request->readable.begin(), request->readable.end());
  }
  for (const uint64_t page : through_memory) add_holders_of_page(page, &plan);
  std::erase_if(plan, [](const HolderRange& range) { return range.bytes == 0; });
  const auto by_base = [](const HolderRange& a, const HolderRange& b) {
    return a.base != b.base ? a.base < b.base : a.shared_page < b.shared_page;
  };
  std::sort(plan.begin(), plan.end(), by_base);
  const auto same = [](const HolderRange& a, const HolderRange& b) {
    return a.base == b.base && a.shared_page == b.shared_page;
  };
  plan.erase(std::unique(plan.begin(), plan.end(), same), plan.end());
  return plan;
}

// Scans what the roots reach and waits, until nothing new is found. `managed_only`: only known foreign ranges.
CUresult ReachCore::scan_before(Roots roots, StreamSlot& slot, bool managed_only) {
  for (int round = 0; round < kMostRounds; ++round) {
    std::vector<HolderRange> plan = gather(roots, nullptr);
    if (managed_only) std::erase_if(plan, [](const HolderRange& range) { return window().contains(range.base); });
    if (plan.empty()) return CUDA_SUCCESS;
    const uint64_t version = edges.version();
    ScanPlace place = reserve(slot);
    uint64_t number = 0;
    const ReachSet* reached = nullptr;
    const CUresult result = with_raw(
        slot,
        [&](ReachSet& set) {
          reached = &set;
          Closure closure;
          Walk walk(&set);
          roots(walk);
          walk.close(edges, &closure);
        },
        [&]() -> CUresult {
          number = sequence.announce(nullptr);
          ScanRequest request;
          request.holders = std::move(plan);
          request.number = number;
          scan_behind(std::move(request), *reached, slot, &place);
          return CUDA_SUCCESS;
        });
    if (result != CUDA_SUCCESS) return result;
    wait_for(number);
    if (edges.version() == version) break;
  }
  return CUDA_SUCCESS;
}

}  // namespace loretoken
