// What a generated program does with its data: launches, copies, graphs, reading back.
#include <algorithm>

#include "model.h"

namespace fuzz {

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
      done(Kind::thin);
      return launch("fuzz_thin", stream, buffers_[a].words, {&dst, &buffers_[a].words, &key});
    case 1: {
      words = std::min(words, buffers_[c].words);
      struct {
        uint32_t before, words;
        CUdeviceptr first;
        uint32_t between, key;
        CUdeviceptr second;
      } pair{7, words, src, 9, key, at(c)};
      done(Kind::pair);
      return launch("fuzz_pair", stream, words, {&dst, &pair});
    }
    default:
      done(Kind::mix);
      return launch("fuzz_mix", stream, words, {&dst, &src, &words, &key});
  }
}

void Program::copies() {
  const int a = pick();
  const int b = pick();
  if (a < 0 || a == b) return;
  const int stream = static_cast<int>(random(2));
  use(a, stream);
  use(b, stream);
  const uint64_t bytes = uint64_t{std::min(buffers_[a].words, buffers_[b].words)} * 4;
  switch (random(5)) {
    case 0:
      done(Kind::copy_device);
      check(cu_.cuMemcpyDtoDAsync_v2(at(a), at(b), bytes, streams_[stream]), "cuMemcpyDtoDAsync");
      break;
    case 1:
      done(Kind::copy_any);
      check(cu_.cuMemcpyAsync(at(a), at(b), bytes, streams_[stream]), "cuMemcpyAsync");
      break;
    case 2:
      done(Kind::set);
      check(cu_.cuMemsetD32Async(at(a), random(1u << 30), bytes / 8, streams_[stream]), "cuMemsetD32Async");
      break;
    case 3: {
      done(Kind::copy_host);
      uint32_t* const host = host_room(static_cast<uint32_t>(bytes / 4));
      for (uint64_t i = 0; i < bytes / 4; ++i) host[i] = random(3);
      check(cu_.cuMemcpyHtoDAsync_v2(at(a), host, bytes, streams_[stream]), "cuMemcpyHtoDAsync");
      check(cu_.cuStreamSynchronize(streams_[stream]), "cuStreamSynchronize");
      break;
    }
    default: {
      check(cu_.cuStreamSynchronize(streams_[stream]), "cuStreamSynchronize");
      const uint64_t pitch = 256;
      if (bytes < 4 * pitch) break;
      done(Kind::copy_2d);
      CUDA_MEMCPY2D copy{};
      copy.srcMemoryType = copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
      copy.srcDevice = at(b);
      copy.dstDevice = at(a);
      copy.srcPitch = copy.dstPitch = pitch;
      copy.WidthInBytes = 100;
      copy.Height = bytes / pitch;
      check(cu_.cuMemcpy2D_v2(&copy), "cuMemcpy2D");
      check(cu_.cuStreamSynchronize(nullptr), "cuStreamSynchronize");  // device to device does not wait by itself
    }
  }
}

void Program::graph() {
  const int a = pick();
  const int b = pick();
  if (a < 0 || a == b) return;
  const int stream = static_cast<int>(random(2));
  use(a, stream);
  use(b, stream);
  CUdeviceptr dst = at(a);
  CUdeviceptr src = at(b);
  uint32_t words = std::min(buffers_[a].words, buffers_[b].words);
  uint32_t key = random(1000);
  done(Kind::graph);
  CUgraph graph = nullptr;
  CUgraphExec exec = nullptr;
  check(cu_.cuStreamBeginCapture_v2(capture_, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL), "cuStreamBeginCapture");
  launch_on(capture_, "fuzz_mix", words, {&dst, &src, &words, &key});
  launch_on(capture_, "fuzz_thin", words, {&dst, &words, &key});
  check(cu_.cuStreamEndCapture(capture_, &graph), "cuStreamEndCapture");
  check(cu_.cuGraphInstantiateWithFlags(&exec, graph, 0), "cuGraphInstantiate");
  for (uint32_t i = random(3) + 1; i != 0; --i) {
    check(cu_.cuGraphLaunch(exec, streams_[stream]), "cuGraphLaunch");
    if (random(2) == 0) read_back();
  }
  check(cu_.cuGraphExecDestroy(exec), "cuGraphExecDestroy");
  check(cu_.cuGraphDestroy(graph), "cuGraphDestroy");
}

void Program::read_back() {
  const int index = pick();
  if (index < 0) return;
  done(Kind::read_back);
  const Buffer& buffer = buffers_[index];
  if (random(2) != 0) return read(buffer);
  uint32_t* const host = host_room(buffer.words);
  check(cu_.cuMemcpyDtoHAsync_v2(host, buffer.address, uint64_t{buffer.words} * 4, streams_[buffer.stream]),
        "cuMemcpyDtoHAsync");
  check(cu_.cuStreamSynchronize(streams_[buffer.stream]), "cuStreamSynchronize");
  hash_ = fnv(hash_, host, uint64_t{buffer.words} * 4);
}

void Program::step() {
  switch (random(20)) {
    case 0:
    case 1:
      return live_ < live_wanted_ ? allocate_data() : release();
    case 2:
      return live_ < live_wanted_ ? allocate_data() : read_back();
    case 3:
    case 4:
      return store_address();
    case 5:
    case 6:
    case 7:
    case 8:
      return follow_address();
    case 9:
      return host_table();
    case 10:
    case 11:
      return copy_table();
    case 12:
    case 13:
    case 14:
      return copies();
    case 15:
      return graph();
    case 16:
      return read_back();
    default:
      return launch_plain();
  }
}

}  // namespace fuzz
