#include <algorithm>
#include <atomic>
#include <unordered_map>

#include "base/log.h"
#include "driver/driver.h"
#include "memory/blob_space.h"
#include "memory/physical.h"
#include "memory/unit.h"
#include "runtime/factories.h"

namespace loretoken {
namespace {

class VmmBlobArena final : public BlobArena, private ChunkBacking {
 public:
  VmmBlobArena(DeviceRuntime& runtime, uint64_t base, uint64_t chunk_bytes, uint32_t chunks)
      : rt_(runtime), space_(base, chunk_bytes, chunks, *this) {}

  uint64_t allocate(uint64_t bytes) override {
    const uint64_t address = space_.allocate(bytes);
    publish();
    return address;
  }
  void release(uint64_t address) override {
    space_.release(address);
    publish();
  }
  uint64_t won_by_release(uint64_t address) const override { return space_.won_by_release(address); }
  uint64_t used() const override { return used_.load(std::memory_order_relaxed); }
  uint64_t backed() const override { return backed_.load(std::memory_order_relaxed); }

 private:
  bool back(uint64_t address, uint64_t bytes) override {
    const Physical::Handle handle = rt_.physical->acquire_chunk(bytes);
    if (handle.bytes == 0) return false;
    CUmemAccessDesc access = {};
    access.location = {CU_MEM_LOCATION_TYPE_DEVICE, rt_.ordinal};
    access.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    CUresult result = driver().cuMemMap(address, bytes, 0, handle.handle, 0);
    if (result == CUDA_SUCCESS) {
      result = driver().cuMemSetAccess(address, bytes, &access, 1);
      if (result != CUDA_SUCCESS) driver().cuMemUnmap(address, bytes);
    }
    if (result != CUDA_SUCCESS) {
      log_error("mapping a chunk for blobs: driver error %d", result);
      rt_.physical->give_back(handle);
      return false;
    }
    handles_.emplace(address, handle);
    return true;
  }

  void unback(uint64_t address, uint64_t bytes) override {
    const auto it = handles_.find(address);
    if (const CUresult result = driver().cuMemUnmap(address, bytes); result != CUDA_SUCCESS) {
      log_error("unmapping a chunk for blobs: driver error %d", result);
    }
    rt_.physical->give_back(it->second);
    handles_.erase(it);
  }

  void publish() {
    used_.store(space_.used(), std::memory_order_relaxed);
    backed_.store(space_.backed(), std::memory_order_relaxed);
  }

  DeviceRuntime& rt_;
  BlobSpace space_;
  std::unordered_map<uint64_t, Physical::Handle> handles_;  // by chunk address
  std::atomic<uint64_t> used_{0};
  std::atomic<uint64_t> backed_{0};
};

}  // namespace

std::unique_ptr<BlobArena> make_blob_arena(DeviceRuntime& runtime) {
  const uint64_t chunk = std::min(uint64_t{32} << 20, runtime.unit_max);
  // Twice what can be backed, so that holes between blobs never run the arena out of addresses first.
  uint64_t bytes = (2 * runtime.physical_total + chunk - 1) / chunk * chunk;
  CUdeviceptr base = 0;
  for (; bytes >= 4 * chunk; bytes = bytes / 2 / chunk * chunk) {
    if (driver().cuMemAddressReserve(&base, bytes, chunk, 0, 0) == CUDA_SUCCESS) {
      return std::make_unique<VmmBlobArena>(runtime, base, chunk, static_cast<uint32_t>(bytes / chunk));
    }
  }
  log_error("no addresses for packed data on device %d", runtime.ordinal);
  return nullptr;
}

}  // namespace loretoken
