// Pointer scans on the GPU of one device: queued behind the program's work on its own stream, read when they are done.
//
// Buffers for kSlots scans in flight are taken once at construction. Thread-safe. queue() and poll() never wait;
// reserve() gives a full house some time to finish a scan.
#pragma once

#include <cuda.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "reach/edges.h"
#include "reach/functions.h"
#include "reach/sequence.h"
#include "runtime/runtime.h"
#include "streams/streams.h"

namespace loretoken {

// What the scanner tells: pages found per range, in the order of the ranges of the request.
struct ScanRequest {
  std::vector<HolderRange> holders;
  std::vector<uint64_t> tickets;   // of Edges::scan_queued
  Behaviour* behaviour = nullptr;  // of the launch it lies behind, or nullptr
  std::vector<uint32_t> readable;  // pages whose addresses that launch may have read from memory; sorted
  std::vector<HolderRange> named;  // what its parameters point into: addresses that it need not have read
  ScanOf of = ScanOf::kWrites;
  // Parts to look at instead of whole holders, one each, or empty.
  std::vector<HolderRange> parts;
  uint64_t number = 0;     // of ScanSequence
  uint64_t queued_at = 0;  // reach_clock()
};

class Scanner;

// Room for one scan in flight; given back if no scan was queued in it.
class ScanPlace {
 public:
  ScanPlace() = default;
  ScanPlace(Scanner* scanner, uint32_t index) : scanner_(scanner), index_(index) {}
  ScanPlace(ScanPlace&& other) noexcept : scanner_(std::exchange(other.scanner_, nullptr)), index_(other.index_) {}
  ScanPlace& operator=(ScanPlace&& other) noexcept;
  ~ScanPlace() { give_back(); }
  Scanner* scanner() const { return scanner_; }

 private:
  friend class Scanner;
  void give_back();
  Scanner* scanner_ = nullptr;
  uint32_t index_ = 0;
};

class Scanner {
 public:
  static constexpr uint32_t kSlots = 128;
  static constexpr uint32_t kTableSlots = 8192;
  static constexpr uint32_t kListRecords = 2048;

  // Takes device and pinned memory in the current context, charged to the physical limit.
  Scanner(DeviceRuntime& runtime, Edges& edges, ScanSequence& sequence);
  bool ready() const { return device_ != 0 && host_ != nullptr; }

  // Waits up to 250 ms for a scan to finish when all places are taken. Outside sections: the mover waits for those, and
  // a scan in flight may wait for the mover.
  ScanPlace reserve();
  // Queues the scan on the slot's stream (behind it, on a stream of ours, when it belongs to another context). Without
  // room in `place`, or when it cannot be queued, the holders count as holding everything and the number is done at
  // once.
  void queue(ScanRequest request, StreamSlot& slot, ScanPlace place);
  // Reads what has reported: edges, classes, numbers.
  void poll();

 private:
  friend class ScanPlace;
  struct Slot {
    CUevent event = nullptr;
    uint32_t epoch = 0;
    bool busy = false;
    bool queued = false;  // the list will be written by the GPU; false: still being set up
    uint64_t order = 0;
    uint32_t polls = 0;
    ScanRequest request;
  };
  uint64_t device_bytes() const;
  uint32_t take();  // mutex_ held; kSlots: none free
  CUresult launch(uint32_t index, StreamSlot& slot);
  void apply(const ScanRequest& request, const std::vector<uint64_t>& records, bool failed);
  unsigned char* list(uint32_t index) const;
  CUdeviceptr table(uint32_t index) const;

  DeviceRuntime& rt_;
  Edges& edges_;
  ScanSequence& sequence_;
  std::mutex mutex_;      // slots_
  std::mutex reporting_;  // reports are applied one after the other, oldest first
  const uint32_t count_;  // slots in use: a small physical limit has room for few
  Slot slots_[kSlots];
  uint64_t next_order_ = 1;
  std::atomic<uint32_t> open_{0};  // requests taken and not applied
  CUstream own_stream_ = nullptr;
  CUdeviceptr device_ = 0;
  unsigned char* host_ = nullptr;
  CUdeviceptr host_device_ = 0;
};

}  // namespace loretoken
