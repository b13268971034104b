#include "hasher.h"

namespace loretoken::train {

namespace {
constexpr uint32_t kBlocks = 64, kParts = kBlocks * 256;
}

Hasher::Hasher(Device& device, CUstream stream)
    : stream_(stream),
      parts_(device.kernel("train_hash_parts")),
      fold_(device.kernel("train_hash_fold")),
      partial_(device.allocate(kParts * sizeof(uint64_t), stream)) {}

void Hasher::hash(CUdeviceptr hash, CUdeviceptr data, uint64_t bytes) {
  launch(parts_, stream_, kParts, partial_, data, uint64_t{bytes / 8});
  launch(fold_, stream_, 1, hash, partial_, uint32_t{kParts});
}

}  // namespace loretoken::train
