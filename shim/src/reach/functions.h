// What is known of each kernel function: where its parameters lie, and whether it stores pointers.
//
// find() is lock-free; entries are never freed, an unloaded function's entry is only marked dead. A handle may be a
// CUfunction or a CUkernel cast to one.
#pragma once

#include <cuda.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace loretoken {

struct ParamSlice {
  uint32_t index = 0;  // position in kernelParams
  uint32_t words = 0;  // 8-byte words at 4-byte steps to look at: (size - 4) / 4
};

// kNew until its first launches were scanned.
enum class FunctionClass : uint8_t { kNew, kPlain, kStorer };

// What a function did when its parameters held addresses of ours in the same places. A function that stores an address
// got it as a parameter or read it from memory, so other places are another behaviour: `arange` of numbers stores
// none, the same kernel given an address as its start stores many.
struct Behaviour {
  std::atomic<uint64_t> places{0};  // Walk::places() of its launches; 0: not in use
  std::atomic<FunctionClass> type{FunctionClass::kNew};
  std::atomic<uint64_t> launches{0};
  std::atomic<uint64_t> holder_launches{0};  // launches that reached memory known to hold pointers
  std::atomic<bool> copies_pointers{false};  // stored what it may have read: scanned whenever it reaches pointers
  std::atomic<uint32_t> scans_queued{0};
  std::atomic<uint32_t> scans_reported{0};
  std::atomic<uint32_t> clean_streak{0};  // scans in a row that found no pointer at all
};

struct FunctionInfo {
  CUfunction handle = nullptr;
  CUmodule module = nullptr;    // nullptr: not known
  CUlibrary library = nullptr;  // nullptr: not known or not from a library
  bool has_layout = false;
  std::vector<ParamSlice> slices;  // parameters of at least 8 bytes
  std::atomic<bool> alive{true};

  // Those that come after the others are taken share the last one.
  static constexpr uint32_t kBehaviours = 8;
  Behaviour behaviours[kBehaviours];
  // The behaviour for these places. Lock-free; one or two compares for what is known.
  Behaviour& behaviour(uint64_t places);
  bool stores() const;  // in any behaviour
  bool copies() const;
};

// How layouts and owners are asked for; the driver's functions, or a test's.
struct FunctionQueries {
  CUresult (*function_param)(CUfunction, size_t index, size_t* offset, size_t* size) = nullptr;
  CUresult (*kernel_param)(CUkernel, size_t index, size_t* offset, size_t* size) = nullptr;
  CUresult (*function_module)(CUmodule*, CUfunction) = nullptr;
  CUresult (*kernel_library)(CUlibrary*, CUkernel) = nullptr;
};

class FunctionTable {
 public:
  // `sample_every`: launches of a known kernel from its first scans to the next; rounded up to a power of two.
  explicit FunctionTable(FunctionQueries queries, uint64_t sample_every);
  ~FunctionTable();

  // The entry of a handle, made on first use (then calls the driver). Cost when known: one hash, one or two probes.
  FunctionInfo& find(CUfunction handle);
  void module_unloaded(CUmodule module);
  void library_unloaded(CUlibrary library);

  // Its first scans are under way: a short wait for them saves further ones.
  static bool awaits_reports(const Behaviour& behaviour) {
    return behaviour.type.load(std::memory_order_relaxed) == FunctionClass::kNew &&
           behaviour.launches.load(std::memory_order_relaxed) >= kFirstLaunches &&
           behaviour.scans_reported.load(std::memory_order_relaxed) <
               behaviour.scans_queued.load(std::memory_order_relaxed);
  }
  // Whether a scan belongs behind this launch; counts the launch. `reaches_pointers`: it reached a holder.
  bool wants_scan(Behaviour& behaviour, bool reaches_pointers) const;
  // The same for a launch that reached no holder, in two steps: whether none belongs behind it, and the count.
  bool passes_unscanned(const Behaviour& behaviour) const {
    return behaviour.type.load(std::memory_order_relaxed) == FunctionClass::kPlain &&
           (behaviour.launches.load(std::memory_order_relaxed) & sample_mask(behaviour)) != 0;
  }
  static void count_unscanned(Behaviour& behaviour) { behaviour.launches.fetch_add(1, std::memory_order_relaxed); }
  // What a scan behind a launch found: a pointer, one that was not known there, one that it cannot have read from the
  // memory it reached. A launch with nothing to scan reports that nothing was found.
  struct Found {
    bool pointers = false;
    bool fresh = false;
    bool not_read = false;
  };
  // Its next scans are to be made, whatever was found so far.
  static void suspect(Behaviour& behaviour);
  static void forget_all(Behaviour& behaviour);
  // Returns true when this classed the behaviour for the first time.
  static bool scanned(Behaviour& behaviour, Found found);

 private:
  static constexpr uint32_t kFirstLaunches = 2;
  static constexpr uint32_t kFirstHolderLaunches = 4;
  static constexpr uint32_t kForgiveAfter = 32;
  static constexpr uint32_t kMostDoublings = 6;

  struct Table {
    explicit Table(uint32_t slots) : mask(slots - 1), entries(slots) {}
    uint32_t mask;
    std::vector<std::atomic<FunctionInfo*>> entries;
  };
  // Each sample that found no pointer doubles the distance to the next, up to 64 times the setting.
  uint64_t sample_mask(const Behaviour& behaviour) const {
    const uint32_t clean = behaviour.clean_streak.load(std::memory_order_relaxed);
    const uint32_t doublings = std::min(clean - std::min(clean, kFirstLaunches), kMostDoublings);
    return ((sample_mask_ + 1) << doublings) - 1;
  }
  static FunctionInfo* probe(const Table& table, CUfunction handle);
  static void place(Table& table, FunctionInfo* info);
  std::unique_ptr<FunctionInfo> describe(CUfunction handle) const;
  void forget(bool (*match)(const FunctionInfo&, const void*), const void* what);

  FunctionQueries queries_;
  uint64_t sample_mask_;  // a power of two less one
  std::atomic<Table*> table_;
  std::mutex mutex_;                                  // insertions
  std::vector<std::unique_ptr<Table>> tables_;        // the last is in use; older ones may still be read
  std::vector<std::unique_ptr<FunctionInfo>> infos_;  // never shrinks
};

}  // namespace loretoken
