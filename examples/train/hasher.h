#ifndef LORETOKEN_TRAIN_HASHER_H
#define LORETOKEN_TRAIN_HASHER_H

#include "cuda_api.h"

namespace loretoken::train {

// Hashes device memory on one stream into device memory; the host never waits. One pass over the data.
class Hasher {
 public:
  Hasher(Device& device, CUstream stream);

  // hash: address of 8 bytes. `bytes` is a multiple of 8. Content, length and order all count.
  void hash(CUdeviceptr hash, CUdeviceptr data, uint64_t bytes);

 private:
  CUstream stream_;
  CUfunction parts_, fold_;
  CUdeviceptr partial_;
};

}  // namespace loretoken::train

#endif  // LORETOKEN_TRAIN_HASHER_H
