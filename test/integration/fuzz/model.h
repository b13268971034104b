// What a generated program knows of itself: its buffers, who used them last, which addresses are stored where.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <random>
#include <vector>

#include "driver_calls.h"

namespace fuzz {

struct Stored {
  int target = -1;  // buffer, -1: nothing valid
};

struct Buffer {
  CUdeviceptr address = 0;
  uint32_t words = 0;
  bool ordered = false;  // allocated in stream order
  bool live = false;
  int stream = 0;             // that used it last
  std::vector<Stored> table;  // not empty: a table of addresses
  bool host = false;          // table lives in pinned host memory
  uint64_t* host_words = nullptr;
};

// One thread's program: its own buffers and two streams. Correct CUDA: every use on another stream waits by event.
class Program {
 public:
  Program(const Driver& driver, CUmodule module, uint64_t seed, uint64_t live_bytes);
  ~Program();
  void populate();  // allocates up to nine tenths of the live bytes
  void step();
  uint64_t finish();  // hash over every byte of every live buffer
  uint64_t failures() const { return failures_; }

 private:
  void allocate();
  void release();
  void launch_plain();
  void store_address();
  void follow_address();
  void host_table();
  void copy_table();
  void copies();
  void graph();
  void read_back();

  int pick(bool table = false);
  void use(int buffer, int stream);
  CUdeviceptr at(int buffer) const { return buffers_[buffer].address; }
  void launch(const char* kernel, int stream, uint32_t words, std::vector<void*> params);
  void launch_on(CUstream stream, const char* kernel, uint32_t words, std::vector<void*> params);
  void check(CUresult result, const char* what);
  uint32_t random(uint32_t below) { return static_cast<uint32_t>(rng_() % below); }
  void forget(int buffer);

  const Driver& cu_;
  CUmodule module_;
  std::mt19937_64 rng_;
  uint64_t live_limit_;
  uint64_t live_ = 0;
  uint64_t hash_ = 1469598103934665603ull;
  uint64_t failures_ = 0;
  CUstream streams_[2] = {};
  CUstream capture_ = nullptr;  // for capturing only
  std::vector<Buffer> buffers_;
};

}  // namespace fuzz
