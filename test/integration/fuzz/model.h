// What a generated program knows of itself: its buffers, who used them last, which addresses are stored where.
#pragma once

#include <cuda.h>

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "driver_calls.h"
#include "hash.h"

namespace fuzz {

struct Stored {
  int target = -1;  // buffer, -1: nothing valid
};

struct Buffer {
  CUdeviceptr address = 0;
  uint32_t words = 0;
  bool ordered = false;  // allocated in stream order
  bool live = false;
  bool unread = true;         // used since its bytes were last compared
  int stream = 0;             // that used it last
  std::vector<Stored> table;  // not empty: a table of addresses
  bool host = false;          // table lives in pinned host memory
  uint64_t* host_words = nullptr;
};

// What a program does; each is counted when it was really done.
// clang-format off
#define FUZZ_KINDS(X)                                                                                      \
  X(allocate) X(allocate_ordered) X(release) X(release_ordered) X(mix) X(thin) X(pair) X(store) X(follow)  \
  X(follow_twice) X(write_through) X(host_table) X(copy_table) X(duplicate_table) X(copy_device)           \
  X(copy_any) X(set) X(copy_host) X(copy_2d) X(graph) X(read_back)
// clang-format on
enum class Kind {
#define X(name) name,
  FUZZ_KINDS(X)
#undef X
      count
};
using Counts = std::array<uint64_t, static_cast<size_t>(Kind::count)>;

// One thread's program: its own buffers and two streams. Correct CUDA: every use on another stream waits by event.
//
// What a launch can reach stays small, since it must fit a small physical limit: small tables share one page, and
// reaching it reaches what any of them leads to. So a program has few tables, and in one seed they lead to one
// buffer at a time.
class Program {
 public:
  // `big_tables`: tables are moved like data, and data may be small; else tables share the page of small allocations.
  // `stop`: the process ends, with status 1, at the first call that fails.
  Program(const Driver& driver, CUmodule module, uint64_t live_bytes, bool big_tables, bool stop);
  ~Program();
  // Everything from here on follows from the seed and what the program holds already: frees some of that, then
  // allocates until at least `live_bytes` are live. `name` is written before every error.
  void begin(std::string name, uint64_t seed);
  void step();
  // Hash over every byte that was used since the last finish(), or of every live buffer, and of what was released.
  uint64_t finish(bool whole);
  uint64_t failures() const { return failures_; }
  void add_counts(Counts* counts);  // since the last call

 private:
  void allocate_tables();
  void clear_tables();
  bool allocate(Buffer* buffer);
  void allocate_data();
  void release();
  uint32_t* host_room(uint32_t words);  // for one transfer at a time
  void read(const Buffer& buffer);
  void compare(Buffer* buffer);
  void launch_plain();
  void store_address();
  void follow_address();
  void host_table();
  void copy_table();
  void copies();
  void graph();
  void read_back();

  int pick(bool table = false);
  int pick_target();
  bool follow_slot(int table, uint32_t slot, int to);
  void done(Kind kind) { ++counts_[static_cast<size_t>(kind)]; }
  void use(int buffer, int stream);
  CUdeviceptr at(int buffer) const { return buffers_[buffer].address; }
  void launch(const char* kernel, int stream, uint32_t words, std::vector<void*> params);
  void launch_on(CUstream stream, const char* kernel, uint32_t words, std::vector<void*> params);
  void check(CUresult result, const char* what);
  uint32_t random(uint32_t below) { return static_cast<uint32_t>(rng_() % below); }
  void forget(int buffer);

  const Driver& cu_;
  CUmodule module_;
  std::string name_;
  std::mt19937_64 rng_;
  uint64_t live_wanted_;
  bool big_tables_;
  bool stop_;
  uint64_t live_ = 0;
  uint64_t hash_ = kHashStart;
  uint64_t failures_ = 0;
  CUstream streams_[2] = {};
  CUstream capture_ = nullptr;  // for capturing only
  std::vector<Buffer> buffers_;
  std::vector<uint32_t> host_;
  std::array<int, 4> recent_{-1, -1, -1, -1};
  size_t next_recent_ = 0;
  int target_ = -1;  // the data buffer whose address is stored
  Counts counts_{};
};

}  // namespace fuzz
