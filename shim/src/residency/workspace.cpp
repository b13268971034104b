#include "residency/workspace.h"

#include <cstring>

#include "driver/driver.h"
#include "streams/streams.h"

namespace loretoken {

Workspace::Workspace(uint64_t unit_max) {
  plan_bytes_ = (Codec::plan_bytes(unit_max) + 511) / 512 * 512;
  if (driver().cuMemAlloc_v2(&device_, device_bytes()) != CUDA_SUCCESS) {
    device_ = 0;
    return;
  }
  void* host = nullptr;
  if (set_now(device_, 0, device_bytes()) != CUDA_SUCCESS ||
      driver().cuMemHostAlloc(&host, sizeof(Result) * kSlots, CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP) !=
          CUDA_SUCCESS) {
    return;
  }
  std::memset(host, 0, sizeof(Result) * kSlots);
  if (driver().cuMemHostGetDevicePointer_v2(&results_device_, host, 0) != CUDA_SUCCESS) {
    driver().cuMemFreeHost(host);
    return;
  }
  results_ = static_cast<Result*>(host);
  free_.reserve(kSlots);
  for (uint32_t slot = 0; slot < kSlots; ++slot) free_.push_back(kSlots - 1 - slot);
}

Workspace::~Workspace() {
  if (results_ != nullptr) driver().cuMemFreeHost(results_);
  if (device_ != 0) driver().cuMemFree_v2(device_);
}

uint32_t Workspace::take() {
  if (free_.empty()) return kNone;
  const uint32_t slot = free_.back();
  free_.pop_back();
  std::memset(&results_[slot], 0, sizeof(Result));
  return slot;
}

}  // namespace loretoken
