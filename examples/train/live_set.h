#ifndef LORETOKEN_TRAIN_LIVE_SET_H
#define LORETOKEN_TRAIN_LIVE_SET_H

#include <array>
#include <vector>

#include "hasher.h"
#include "network.h"
#include "options.h"

namespace loretoken::train {

// The buffers a training job keeps beside its network, each used again every few steps:
//   replay       zero-padded input rows; the step trains on some of them
//   activations  saved outputs of a ReLU layer; the step replaces some
//   frozen       bf16 weights of another model; the first layer decays towards some of them
//   table        momentum of a table of which few rows were ever touched; the step adds a gradient
// A hash of each buffer's content is kept from its last write and compared before its next use. Checks run on a stream
// of their own, beside the training step; only writes wait for them.
class LiveSet {
 public:
  LiveSet(Device& device, CUstream stream, const Options& options);

  uint64_t target_count() const { return target_count_; }
  uint64_t buffer_bytes() const { return buffer_bytes_; }
  const std::vector<Tensor>& buffers() const { return buffers_; }

  // Adds buffers until `count` exist.
  void grow(uint64_t count);

  // Begins the checks of the buffers that this step uses.
  void check(uint64_t step);
  CUdeviceptr input(uint64_t step) const;   // [batch][width] floats
  CUdeviceptr anchor(uint64_t step) const;  // width·width bf16, 0 when there is none yet
  // Stores this step's results, behind its checks.
  void store(uint64_t step, const Network& network);

  struct Counts {
    uint64_t checked, changed;
  };
  Counts counts();  // waits for all work

 private:
  enum Kind { kReplay, kActivations, kFrozen, kTable, kKinds };
  bool has(Kind kind) const { return buffers_.size() > static_cast<size_t>(kind); }
  size_t used(Kind kind, uint64_t step) const;  // the buffer of this kind that the step uses
  uint64_t place(uint64_t step, uint64_t part_bytes) const;
  void write_hash(size_t buffer);

  Device& device_;
  CUstream stream_, check_stream_;
  CUevent written_event_, checked_event_;
  Hasher hasher_, check_hasher_;
  uint64_t seed_, step_bytes_, anchor_bytes_, buffer_bytes_, target_count_;
  uint32_t width_;
  std::vector<Tensor> buffers_;
  Tensor spare_input_;  // trained on while there is no replay buffer
  Tensor hashes_, now_, counts_;
  CUfunction replay_, activations_, frozen_, copy_, accumulate_, check_;
};

}  // namespace loretoken::train

#endif  // LORETOKEN_TRAIN_LIVE_SET_H
