#include <algorithm>
#include <cstdio>
#include <cstring>

#include "model.h"

namespace fuzz {
namespace {
// What a table leads to must fit the physical limit together: few slots, and buffers of at most 0.8 MB.
constexpr uint32_t kTableSlots = 2;

uint64_t fnv(uint64_t hash, const void* data, size_t bytes) {
  const auto* p = static_cast<const uint64_t*>(data);
  for (size_t i = 0; i < bytes / 8; ++i) hash = (hash ^ p[i]) * 1099511628211ull;
  const auto* tail = static_cast<const uint8_t*>(data) + bytes / 8 * 8;
  for (size_t i = 0; i < bytes % 8; ++i) hash = (hash ^ tail[i]) * 1099511628211ull;
  return hash;
}
}  // namespace

Program::Program(const Driver& driver, CUmodule module, uint64_t seed, uint64_t live_bytes)
    : cu_(driver), module_(module), rng_(seed * 0x9E3779B97F4A7C15ull + 1), live_limit_(live_bytes) {
  for (CUstream& stream : streams_) {
    check(cu_.cuStreamCreate(&stream, random(2) != 0 ? CU_STREAM_NON_BLOCKING : CU_STREAM_DEFAULT), "cuStreamCreate");
  }
  // Other threads use the legacy stream meanwhile, which is an error while a blocking stream is captured.
  check(cu_.cuStreamCreate(&capture_, CU_STREAM_NON_BLOCKING), "cuStreamCreate");
}

void Program::populate() {
  while (live_ < live_limit_ / 10 * 9 && failures_ == 0) {
    const uint64_t before = live_;
    allocate();
    if (live_ + (200009 * 4) > live_limit_ && live_ <= before) break;
  }
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
  std::fprintf(stderr, "%s returned %d\n", what, result);
}

int Program::pick(bool table) {
  std::vector<int> fit;
  for (size_t i = 0; i < buffers_.size(); ++i) {
    const Buffer& buffer = buffers_[i];
    if (buffer.live && buffer.table.empty() != table) fit.push_back(static_cast<int>(i));
  }
  return fit.empty() ? -1 : fit[random(static_cast<uint32_t>(fit.size()))];
}

void Program::use(int index, int stream) {
  Buffer& buffer = buffers_[index];
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

void Program::allocate() {
  static constexpr uint32_t kSizes[] = {128, 1000, 16384, 16385, 60000, 100000, 131072, 200001, 200003, 200009};
  Buffer buffer;
  const bool table = random(6) == 0;
  buffer.words = table ? kTableSlots * 2 : kSizes[random(10)];
  if (!table && random(2) == 0) buffer.words = buffer.words / 2 + random(buffer.words / 2) + 1;
  const uint64_t bytes = uint64_t{buffer.words} * 4;
  if (live_ + bytes > live_limit_) return release();
  buffer.stream = static_cast<int>(random(2));
  buffer.ordered = random(2) == 0;
  buffer.live = true;
  if (table && random(3) == 0) {
    buffer.host = true;
    void* host = nullptr;
    check(cu_.cuMemHostAlloc(&host, bytes, CU_MEMHOSTALLOC_DEVICEMAP), "cuMemHostAlloc");
    buffer.host_words = static_cast<uint64_t*>(host);
    std::memset(host, 0, bytes);
    buffer.address = reinterpret_cast<CUdeviceptr>(host);
  } else if (buffer.ordered) {
    check(cu_.cuMemAllocAsync(&buffer.address, bytes, streams_[buffer.stream]), "cuMemAllocAsync");
  } else {
    check(cu_.cuMemAlloc_v2(&buffer.address, bytes), "cuMemAlloc");
  }
  if (buffer.address == 0) return;
  if (table) {
    buffer.table.resize(kTableSlots);
    if (!buffer.host) check(cu_.cuMemsetD32Async(buffer.address, 0, buffer.words, streams_[buffer.stream]), "memset");
  } else {
    uint32_t seed = random(1u << 30);
    uint32_t kind = random(6);
    launch("fuzz_fill", buffer.stream, buffer.words, {&buffer.address, &buffer.words, &seed, &kind});
    live_ += bytes;
  }
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
  if (random(4) == 0) read_back();
  live_ -= uint64_t{buffer.words} * 4;
  buffer.live = false;
  forget(index);
  if (buffer.ordered && random(2) == 0) {
    const int stream = static_cast<int>(random(2));
    use(index, stream);
    check(cu_.cuMemFreeAsync(buffer.address, streams_[stream]), "cuMemFreeAsync");
  } else {
    check(cu_.cuMemFree_v2(buffer.address), "cuMemFree");
  }
}

void Program::launch_plain() {
  const int a = pick();
  const int b = pick();
  const int c = pick();
  if (a < 0 || a == b || a == c) return;
  const int stream = static_cast<int>(random(2));
  for (int index : {a, b, c}) use(index, stream);
  CUdeviceptr dst = at(a);
  CUdeviceptr src = at(b);
  uint32_t key = random(1000);
  uint32_t words = std::min(buffers_[a].words, buffers_[b].words);
  switch (random(4)) {
    case 0:
      return launch("fuzz_thin", stream, buffers_[a].words, {&dst, &buffers_[a].words, &key});
    case 1: {
      words = std::min(words, buffers_[c].words);
      struct {
        uint32_t before, words;
        CUdeviceptr first;
        uint32_t between, key;
        CUdeviceptr second;
      } pair{7, words, src, 9, key, at(c)};
      return launch("fuzz_pair", stream, words, {&dst, &pair});
    }
    default:
      return launch("fuzz_mix", stream, words, {&dst, &src, &words, &key});
  }
}

void Program::read_back() {
  const int index = pick();
  if (index < 0) return;
  const Buffer& buffer = buffers_[index];
  std::vector<uint32_t> host(buffer.words);
  if (random(2) == 0) {
    check(cu_.cuMemcpyDtoHAsync_v2(host.data(), buffer.address, uint64_t{buffer.words} * 4, streams_[buffer.stream]),
          "cuMemcpyDtoHAsync");
    check(cu_.cuStreamSynchronize(streams_[buffer.stream]), "cuStreamSynchronize");
  } else {
    check(cu_.cuStreamSynchronize(streams_[buffer.stream]), "cuStreamSynchronize");
    check(cu_.cuMemcpyDtoH_v2(host.data(), buffer.address, uint64_t{buffer.words} * 4), "cuMemcpyDtoH");
  }
  hash_ = fnv(hash_, host.data(), host.size() * 4);
}

uint64_t Program::finish() {
  check(cu_.cuCtxSynchronize(), "cuCtxSynchronize");
  for (const Buffer& buffer : buffers_) {
    if (!buffer.live || !buffer.table.empty()) continue;
    std::vector<uint32_t> host(buffer.words);
    check(cu_.cuMemcpyDtoH_v2(host.data(), buffer.address, uint64_t{buffer.words} * 4), "cuMemcpyDtoH");
    hash_ = fnv(hash_, host.data(), host.size() * 4);
  }
  return hash_;
}

void Program::step() {
  switch (random(16)) {
    case 0:
    case 1:
    case 2:
      return allocate();
    case 3:
      return release();
    case 4:
      return store_address();
    case 5:
    case 6:
      return follow_address();
    case 7:
      return host_table();
    case 8:
      return copy_table();
    case 9:
      return copies();
    case 10:
      return graph();
    case 11:
      return read_back();
    default:
      return launch_plain();
  }
}

}  // namespace fuzz
