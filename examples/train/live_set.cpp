#include "live_set.h"

#include <algorithm>

namespace loretoken::train {

namespace {

constexpr uint64_t kMiB = 1u << 20;
constexpr uint64_t kThreads = 64 * 256;

CUevent make_event() {
  CUevent event = nullptr;
  CUDA_CALL(cuEventCreate)(&event, static_cast<unsigned>(CU_EVENT_DISABLE_TIMING));
  return event;
}

uint64_t round_up(uint64_t value, uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

}  // namespace

LiveSet::LiveSet(Device& device, CUstream stream, const Options& options)
    : device_(device),
      stream_(stream),
      check_stream_(device.make_stream()),
      written_event_(make_event()),
      checked_event_(make_event()),
      hasher_(device, stream),
      check_hasher_(device, check_stream_),
      seed_(options.seed * 7919),
      step_bytes_(uint64_t{options.batch} * options.width * sizeof(float)),
      anchor_bytes_(uint64_t{options.width} * options.width * sizeof(uint16_t)),
      width_(options.width) {
  const uint64_t least = std::max(step_bytes_, 2 * anchor_bytes_);
  const uint64_t chosen = options.buffer ? options.buffer : std::clamp(options.live / 64, 2 * kMiB, 64 * kMiB);
  buffer_bytes_ = round_up(std::max(chosen, least), 2 * kMiB);
  target_count_ = (options.live + buffer_bytes_ - 1) / buffer_bytes_;
  replay_ = device.kernel("train_make_replay");
  activations_ = device.kernel("train_make_activations");
  frozen_ = device.kernel("train_make_frozen");
  copy_ = device.kernel("train_copy");
  accumulate_ = device.kernel("train_accumulate");
  check_ = device.kernel("train_check");
  auto make = [&](uint64_t bytes) { return Tensor{device.allocate(bytes, stream), bytes}; };
  spare_input_ = make(round_up(step_bytes_, 8));
  hashes_ = make(8 * std::max<uint64_t>(target_count_, 1));
  now_ = make(8);
  counts_ = make(16);
  launch(replay_, stream_, kThreads, spare_input_.address, uint64_t{step_bytes_ / 4}, width_, seed_);
  CUDA_CALL(cuEventRecord)(written_event_, stream_);
}

void LiveSet::grow(uint64_t count) {
  while (buffers_.size() < std::min(count, target_count_)) {
    const CUdeviceptr address = device_.allocate(buffer_bytes_, stream_);
    const uint64_t seed = seed_ + (buffers_.size() + 1) * buffer_bytes_, floats = buffer_bytes_ / 4;
    switch (buffers_.size() % kKinds) {
      case kReplay:
        launch(replay_, stream_, kThreads, address, floats, width_, seed);
        break;
      case kActivations:
        launch(activations_, stream_, kThreads, address, floats, seed);
        break;
      case kFrozen:
        launch(frozen_, stream_, kThreads, address, uint64_t{buffer_bytes_ / 2}, seed);
        break;
      default:  // a table begins as zeros, as it was allocated
        break;
    }
    buffers_.push_back({address, buffer_bytes_});
    write_hash(buffers_.size() - 1);
  }
  CUDA_CALL(cuEventRecord)(written_event_, stream_);
}

size_t LiveSet::used(Kind kind, uint64_t step) const {
  const uint64_t of_kind = (buffers_.size() - kind + kKinds - 1) / kKinds;
  return step % of_kind * kKinds + kind;
}

// A place for `part_bytes` inside a buffer, another one each step, on a 256-byte boundary.
uint64_t LiveSet::place(uint64_t step, uint64_t part_bytes) const {
  const uint64_t room = (buffer_bytes_ - part_bytes) / 256 + 1;
  return step * 2654435761u % room * 256;
}

void LiveSet::write_hash(size_t buffer) {
  hasher_.hash(hashes_.address + 8 * buffer, buffers_[buffer].address, buffer_bytes_);
}

void LiveSet::check(uint64_t step) {
  CUDA_CALL(cuStreamWaitEvent)(check_stream_, written_event_, 0u);
  for (Kind kind : {kReplay, kActivations, kFrozen, kTable}) {
    if (!has(kind)) continue;
    const size_t buffer = used(kind, step);
    check_hasher_.hash(now_.address, buffers_[buffer].address, buffer_bytes_);
    launch(check_, check_stream_, 1, counts_.address, now_.address, CUdeviceptr{hashes_.address + 8 * buffer});
  }
  CUDA_CALL(cuEventRecord)(checked_event_, check_stream_);
}

CUdeviceptr LiveSet::input(uint64_t step) const {
  if (!has(kReplay)) return spare_input_.address;
  const uint64_t row = uint64_t{width_} * sizeof(float), rows = (buffer_bytes_ - step_bytes_) / row + 1;
  return buffers_[used(kReplay, step)].address + step * 2654435761u % rows * row;
}

CUdeviceptr LiveSet::anchor(uint64_t step) const {
  return has(kFrozen) ? buffers_[used(kFrozen, step)].address + place(step, anchor_bytes_) : 0;
}

void LiveSet::store(uint64_t step, const Network& network) {
  CUDA_CALL(cuStreamWaitEvent)(stream_, checked_event_, 0u);
  if (has(kActivations)) {
    const size_t buffer = used(kActivations, step);
    const CUdeviceptr to = buffers_[buffer].address + place(step, step_bytes_);
    launch(copy_, stream_, kThreads, to, network.hidden().address, uint64_t{step_bytes_ / 4});
    write_hash(buffer);
  }
  if (has(kTable)) {
    const size_t buffer = used(kTable, step);
    const uint64_t floats = std::min<uint64_t>(8 * uint64_t{width_}, network.first_gradient().bytes / 4);
    const CUdeviceptr to = buffers_[buffer].address + place(step % 16, floats * 4);
    launch(accumulate_, stream_, kThreads, to, network.first_gradient().address, floats);
    write_hash(buffer);
  }
  CUDA_CALL(cuEventRecord)(written_event_, stream_);
}

LiveSet::Counts LiveSet::counts() {
  Counts counts{};
  CUDA_CALL(cuCtxSynchronize)();
  CUDA_CALL(cuMemcpyDtoH)(static_cast<void*>(&counts), counts_.address, sizeof counts);
  return counts;
}

}  // namespace loretoken::train
