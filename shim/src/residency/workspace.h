// Scratch of one engine, taken once at start and charged to the physical limit: plans for a batch of packs and counters
// for unpacks in VRAM, and result records in pinned host memory that kernels write and the host reads.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <vector>

#include "loretoken/codec.h"

namespace loretoken {

class Workspace {
 public:
  static constexpr uint32_t kBatch = 8;    // packs in flight
  static constexpr uint32_t kSlots = 512;  // operations in flight, packs included

  // Allocates in the current context. On failure ready() is false and the engine must not be used.
  explicit Workspace(uint64_t unit_max);
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  bool ready() const { return device_ != 0 && results_ != nullptr; }
  uint64_t device_bytes() const { return plan_bytes_ * kBatch + uint64_t{kScratchBytes} * kSlots; }

  // The plan of the i-th pack of a batch; its first kScratchBytes stay zero between calls.
  CUdeviceptr plan(uint32_t i) const { return device_ + uint64_t{kScratchBytes} * kSlots + i * plan_bytes_; }

  // Slots for operations without a plan. take() returns kNone when all are in use. Not thread-safe.
  static constexpr uint32_t kNone = ~0u;
  uint32_t take();
  void give(uint32_t slot) { free_.push_back(slot); }
  Result& result(uint32_t slot) { return results_[slot]; }
  CUdeviceptr result_address(uint32_t slot) const { return results_device_ + slot * sizeof(Result); }
  CUdeviceptr scratch(uint32_t slot) const { return device_ + uint64_t{kScratchBytes} * slot; }

 private:
  uint64_t plan_bytes_ = 0;
  CUdeviceptr device_ = 0;
  Result* results_ = nullptr;
  CUdeviceptr results_device_ = 0;
  std::vector<uint32_t> free_;
};

}  // namespace loretoken
