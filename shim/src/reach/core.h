// The process's knowledge of reach, and the operations of the hooks built on it. One instance per process, shared by
// all devices: addresses of all devices lie in one window.
#pragma once

#include <cuda.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/function_ref.h"
#include "reach/edges.h"
#include "reach/functions.h"
#include "reach/scanner.h"
#include "reach/sequence.h"
#include "reach/walk.h"
#include "residency/access.h"

namespace loretoken {

// A non-owning reference to what makes the real driver call.
using DriverCall = FunctionRef<CUresult()>;

// Puts the addresses that an operation can read into a walk: parameters of a launch, the union of a graph.
using Roots = FunctionRef<void(Walk&)>;

// One side of 0 is no linear memory (an array). Rows of `width` bytes; a plain copy has one row.
struct CopySpec {
  uint64_t dst = 0;
  uint64_t src = 0;
  uint64_t width = 0;
  uint64_t rows = 1;
  uint64_t dst_pitch = 0;
  uint64_t src_pitch = 0;
  // The caller said so. Without, an address that the driver does not know is pageable host memory, which memory that a
  // graph owns would be mistaken for.
  bool dst_on_device = false;
  bool src_on_device = false;
  uint64_t total() const { return width * rows; }
  uint64_t dst_extent() const { return rows == 0 || width == 0 ? 0 : (rows - 1) * dst_pitch + width; }
  uint64_t src_extent() const { return rows == 0 || width == 0 ? 0 : (rows - 1) * src_pitch + width; }
};

// Parameters of a launch into a walk, or into anything with words(data, count) and everything(). A function without
// layout and without `extra` may reach everything.
template <class Sink>
void walk_params(const FunctionInfo& info, void** params, void** extra, Sink* sink);

// What is known of a copy before it runs.
struct Carried {
  bool scan = false;           // the destination's holder is to be scanned behind it
  bool unseen = false;         // no CPU has looked at the bytes
  Behaviour* habit = nullptr;  // of the pinned buffer they come from: they may change until the stream gets there
};

// Whose addresses an operation may store: of what it reaches, or any (copies bring what the host wrote).
enum class Stores : bool { kReached, kAnything };

class ReachCore {
 public:
  ReachCore(FunctionQueries queries, uint64_t sample_every);

  FunctionTable functions;
  Edges edges;
  ScanSequence sequence;

  // --- launches (launching.cpp)

  // A launch of `info` with these parameters on the slot: makes its reach raw, calls, learns. Also while capturing.
  CUresult launch(FunctionInfo& info, void** params, void** extra, StreamSlot& slot, DriverCall call);
  // Anything that reads `roots`. `behaviour_of(places)` is asked at most once per try, `wants_scan(behaviour, reached
  // holders)` once: whether a scan belongs behind it.
  CUresult operate(Roots roots, FunctionRef<Behaviour&(uint64_t)> behaviour_of,
                   FunctionRef<bool(Behaviour&, bool)> wants_scan, Stores stores, StreamSlot& slot, DriverCall call);
  // --- copies and sets (copying.cpp)

  // Makes both sides raw, calls, carries edges over: pointers in host bytes and in the source's holders become edges of
  // the destination, or pins when that is not ours.
  CUresult copy(std::span<const CopySpec> specs, StreamSlot& slot, bool async, DriverCall call);
  // Makes the ranges raw and calls.
  CUresult touch(std::span<const CopySpec> specs, StreamSlot& slot, Blocking blocking, DriverCall call);
  // Maps what the ranges lie in, calls. For copies and sets that are captured or become nodes of a graph.
  CUresult mapped(std::span<const CopySpec> specs, DriverCall call);
  // What a copy from host memory or on the device tells, before it runs. Outside sections.
  static constexpr uint64_t kCpuScanBytes = uint64_t{1} << 20;  // above, the GPU scans behind the copy
  void host_copy_begins(const CopySpec& spec, bool async, bool from_pinned, uint64_t cpu_limit, Carried* out);
  void device_copy_begins(const CopySpec& spec, Carried* out);
  // Whichever of the two it is. True: the source is pageable host memory.
  bool carry(const CopySpec& spec, bool async, uint64_t cpu_limit, Carried* out);

  // --- both
  // The allocation of an address, or its known range; bytes 0: none. Takes the heap's lock: outside sections.
  HolderRange holder_of(uint64_t address) const;
  // What lives on a page reached through memory: its allocations, or the page itself where they are many.
  void add_holders_of_page(uint64_t address, std::vector<HolderRange>* out) const;
  void pin_targets(std::span<const uint32_t> pages);
  void add_scanner(int device, Scanner* scanner);
  void poll();
  void wait_for(uint64_t number);
  // The mover asks for scan numbers: from now on memory may be away.
  void packing_began() { packing_.store(true, std::memory_order_seq_cst); }
  bool packing() const { return packing_.load(std::memory_order_seq_cst); }

 private:
  void await_reports(const Behaviour& behaviour);
  // A launch that needs no scan, meets no holder and finds everything raw: queued, its result in `result`. False: not
  // queued, nothing counted. Four atomic additions, no lock, no allocation.
  bool launch_plainly(FunctionInfo& info, void** params, void** extra, StreamSlot& slot, DriverCall call,
                      CUresult* result);
  // The ranges that an operation with these roots may write: allocations, pages of shared units, known foreign ranges.
  // `request`, wanted or nullptr: gets what a scan behind it is judged by.
  std::vector<HolderRange> gather(Roots roots, ScanRequest* request);
  // A place for a scan on the slot's device; outside sections.
  ScanPlace reserve(const StreamSlot& slot) const;
  void scan_behind(ScanRequest request, const ReachSet& set, StreamSlot& slot, ScanPlace* place);
  CUresult scan_before(Roots roots, StreamSlot& slot, bool managed_only);
  Scanner* scanner_for(const StreamSlot& slot) const;

  static constexpr uint32_t kMostDevices = 64;
  std::atomic<Scanner*> scanners_[kMostDevices] = {};
  std::atomic<bool> packing_{false};
};

template <class Sink>
void walk_params(const FunctionInfo& info, void** params, void** extra, Sink* sink) {
#ifndef LORETOKEN_MUTATE_PARAM_SCAN
  if (extra != nullptr) {
    const void* buffer = nullptr;
    size_t bytes = 0;
    for (size_t i = 0; extra[i] != CU_LAUNCH_PARAM_END; i += 2) {
      if (extra[i] == CU_LAUNCH_PARAM_BUFFER_POINTER) buffer = extra[i + 1];
      if (extra[i] == CU_LAUNCH_PARAM_BUFFER_SIZE && extra[i + 1] != nullptr) {
        bytes = *static_cast<const size_t*>(extra[i + 1]);
      }
    }
    if (buffer != nullptr && bytes >= 8) sink->words(buffer, static_cast<uint32_t>((bytes - 4) / 4));
  }
  if (params == nullptr) return;
  if (!info.has_layout) {
    sink->everything();
    return;
  }
  for (const ParamSlice& slice : info.slices) {
    if (params[slice.index] != nullptr) sink->words(params[slice.index], slice.words);
  }
#else
  (void)info, (void)params, (void)extra, (void)sink;
#endif
}

// Logs the words of the parameters that look like addresses, and where they lie (fault_report.cpp).
void log_parameters(const FunctionInfo& info, void** params);

// The process's. Made on first use with the driver's functions, never destroyed.
ReachCore& reach_core();
// Pins kUnknownCall/kMemOp/… for the units of an address, once per unit and reason. Outside sections.
void pin_address(uint64_t address, uint64_t bytes, Pin reason);

}  // namespace loretoken
