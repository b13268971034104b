// The life of a generated program's buffers.
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "model.h"

namespace fuzz {
namespace {

constexpr uint32_t kTableSlots = 2;
constexpr uint32_t kBigTableWords = 34000;  // not sub-allocated: this table is packed and brought back itself

}  // namespace

Program::Program(const Driver& driver, CUmodule module, uint64_t live_bytes, bool big_tables, bool stop)
    : cu_(driver), module_(module), live_wanted_(live_bytes), big_tables_(big_tables), stop_(stop) {}

void Program::begin(std::string name, uint64_t seed) {
  name_ = std::move(name);
  rng_.seed(seed * 0x9E3779B97F4A7C15ull + 1);
  hash_ = kHashStart;
  if (capture_ == nullptr) {
    for (CUstream& stream : streams_) {
      check(cu_.cuStreamCreate(&stream, random(2) != 0 ? CU_STREAM_NON_BLOCKING : CU_STREAM_DEFAULT), "cuStreamCreate");
    }
    // Other threads use the legacy stream meanwhile, which is an error while a blocking stream is captured.
    check(cu_.cuStreamCreate(&capture_, CU_STREAM_NON_BLOCKING), "cuStreamCreate");
    allocate_tables();
  }
  clear_tables();
  for (const uint64_t keep = live_wanted_ / 8 * 7; live_ > keep;) release();
  while (live_ < live_wanted_ && failures_ == 0) allocate_data();
}

void Program::add_counts(Counts* counts) {
  for (size_t i = 0; i < counts->size(); ++i) (*counts)[i] += counts_[i];
  counts_ = {};
}

Program::~Program() {
  cu_.cuCtxSynchronize();
  for (Buffer& buffer : buffers_) {
    if (buffer.host_words != nullptr) cu_.cuMemFreeHost(buffer.host_words);
    if (buffer.live && !buffer.host) cu_.cuMemFree_v2(buffer.address);
  }
  for (CUstream stream : {streams_[0], streams_[1], capture_}) cu_.cuStreamDestroy_v2(stream);
}

void Program::check(CUresult result, const char* what) {
  if (result == CUDA_SUCCESS) return;
  ++failures_;
  std::fprintf(stderr, "%s: %s returned %d\n", name_.c_str(), what, result);
  if (stop_) std::_Exit(1);  // what follows says nothing, and may wait for ever
}

// Half of the picks of data are among the last few: programs have a working set, and moving costs time.
int Program::pick(bool table) {
  if (!table && random(2) == 0) {
    const int index = recent_[random(static_cast<uint32_t>(recent_.size()))];
    if (index >= 0 && buffers_[index].live) return index;
  }
  std::vector<int> fit;
  for (size_t i = 0; i < buffers_.size(); ++i) {
    const Buffer& buffer = buffers_[i];
    if (buffer.live && buffer.table.empty() != table) fit.push_back(static_cast<int>(i));
  }
  if (fit.empty()) return -1;
  const int index = fit[random(static_cast<uint32_t>(fit.size()))];
  if (!table) {
    recent_[next_recent_] = index;
    next_recent_ = (next_recent_ + 1) % recent_.size();
  }
  return index;
}

void Program::use(int index, int stream) {
  Buffer& buffer = buffers_[index];
  buffer.unread = true;
  if (buffer.stream == stream) return;
  CUevent event = nullptr;
  check(cu_.cuEventCreate(&event, CU_EVENT_DISABLE_TIMING), "cuEventCreate");
  check(cu_.cuEventRecord(event, streams_[buffer.stream]), "cuEventRecord");
  check(cu_.cuStreamWaitEvent(streams_[stream], event, 0), "cuStreamWaitEvent");
  check(cu_.cuEventDestroy_v2(event), "cuEventDestroy");
  buffer.stream = stream;
}

void Program::launch(const char* kernel, int stream, uint32_t words, std::vector<void*> params) {
  launch_on(streams_[stream], kernel, words, std::move(params));
}

void Program::launch_on(CUstream stream, const char* kernel, uint32_t words, std::vector<void*> params) {
  CUfunction function = nullptr;
  check(cu_.cuModuleGetFunction(&function, module_, kernel), "cuModuleGetFunction");
  const unsigned blocks = words / 4096 + 1 < 8 ? words / 4096 + 1 : 8;
  check(cu_.cuLaunchKernel(function, blocks, 1, 1, 64, 1, 1, 0, stream, params.data(), nullptr), kernel);
}

// Memory for `buffer`, in stream order if it says so.
bool Program::allocate(Buffer* buffer) {
  const uint64_t bytes = uint64_t{buffer->words} * 4;
  buffer->stream = static_cast<int>(random(2));
  buffer->ordered = random(2) == 0;
  if (buffer->ordered) {
    check(cu_.cuMemAllocAsync(&buffer->address, bytes, streams_[buffer->stream]), "cuMemAllocAsync");
  } else {
    check(cu_.cuMemAlloc_v2(&buffer->address, bytes), "cuMemAlloc");
  }
  buffer->live = buffer->address != 0;
  if (buffer->live) done(buffer->ordered ? Kind::allocate_ordered : Kind::allocate);
  return buffer->live;
}

// One in pinned host memory; two in the page of small allocations, or two that are moved like data.
void Program::allocate_tables() {
  Buffer host;
  host.words = kTableSlots * 2;
  host.table.resize(kTableSlots);
  host.host = host.live = true;
  void* memory = nullptr;
  check(cu_.cuMemHostAlloc(&memory, kTableSlots * 8, CU_MEMHOSTALLOC_DEVICEMAP), "cuMemHostAlloc");
  host.host_words = static_cast<uint64_t*>(memory);
  host.address = reinterpret_cast<CUdeviceptr>(memory);
  if (memory != nullptr) buffers_.push_back(host);
  for (int i = 0; i < 2; ++i) {
    Buffer table;
    table.words = big_tables_ ? kBigTableWords : kTableSlots * 2;
    table.table.resize(kTableSlots);
    if (allocate(&table)) buffers_.push_back(table);
  }
}

void Program::allocate_data() {
  // Mostly one to a physical handle of 2 MiB: a buffer that joins a packed one costs an unpack and a pack more.
  static constexpr uint32_t kSizes[] = {1000,   20000,  262144, 490000, 500000, 500001, 510000, 515003,
                                        518000, 520000, 520001, 522000, 523000, 524287, 524288, 524288};
  // Cheap content mostly, and some of every codec: see fuzz_fill.
  static constexpr uint32_t kKinds[] = {0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 3, 4, 5, 6};
  Buffer buffer;
  buffer.words = kSizes[random(std::size(kSizes))];
  // Data in the page of small tables would reach all they ever led to.
  if (!big_tables_) buffer.words = std::max(buffer.words, kBigTableWords);
  if (random(16) == 0) buffer.words = buffer.words / 2 + random(buffer.words / 2) + 1;
  if (!allocate(&buffer)) return;
  uint32_t seed = random(1u << 30);
  uint32_t kind = kKinds[random(std::size(kKinds))];
  launch("fuzz_fill", buffer.stream, buffer.words, {&buffer.address, &buffer.words, &seed, &kind});
  live_ += uint64_t{buffer.words} * 4;
  buffers_.push_back(buffer);
}

void Program::forget(int index) {
  for (Buffer& buffer : buffers_) {
    for (Stored& stored : buffer.table) {
      if (stored.target == index) stored.target = -1;
    }
  }
}

void Program::release() {
  const int index = pick();
  if (index < 0) return;
  Buffer& buffer = buffers_[index];
  compare(&buffer);
  live_ -= uint64_t{buffer.words} * 4;
  buffer.live = false;
  forget(index);
  if (buffer.ordered && random(2) == 0) {
    const int stream = static_cast<int>(random(2));
    use(index, stream);
    check(cu_.cuMemFreeAsync(buffer.address, streams_[stream]), "cuMemFreeAsync");
    done(Kind::release_ordered);
  } else {
    check(cu_.cuMemFree_v2(buffer.address), "cuMemFree");
    done(Kind::release);
  }
}

uint32_t* Program::host_room(uint32_t words) {
  if (host_.size() < words) host_.resize(words);
  return host_.data();
}

// Its bytes go into the hash. Waits for the stream that used it last.
void Program::read(const Buffer& buffer) {
  uint32_t* const host = host_room(buffer.words);
  check(cu_.cuStreamSynchronize(streams_[buffer.stream]), "cuStreamSynchronize");
  check(cu_.cuMemcpyDtoH_v2(host, buffer.address, uint64_t{buffer.words} * 4), "cuMemcpyDtoH");
  hash_ = fnv(hash_, host, uint64_t{buffer.words} * 4);
}

void Program::compare(Buffer* buffer) {
  read(*buffer);
  buffer->unread = false;
}

uint64_t Program::finish(bool whole) {
  // Not the whole context: that is an error while another thread captures.
  for (CUstream stream : {streams_[0], streams_[1], CUstream{nullptr}}) {
    check(cu_.cuStreamSynchronize(stream), "cuStreamSynchronize");
  }
  for (auto it = buffers_.rbegin(); it != buffers_.rend(); ++it) {  // the last ones first: they are still raw
    if (it->live && it->table.empty() && (whole || it->unread)) compare(&*it);
  }
  return hash_;
}

}  // namespace fuzz
