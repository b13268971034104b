// The part of a generated program that stores addresses in memory and follows them.
#include <algorithm>

#include "model.h"

namespace fuzz {

void Program::store_address() {
  const int table = pick(true);
  const int target = pick();
  if (table < 0 || target < 0 || buffers_[table].host) return;
  const int stream = static_cast<int>(random(2));
  use(table, stream);
  use(target, stream);
  uint32_t slot = random(static_cast<uint32_t>(buffers_[table].table.size()));
  CUdeviceptr where = at(table);
  CUdeviceptr what = at(target);
  launch("fuzz_store", stream, 1, {&where, &slot, &what});
  buffers_[table].table[slot].target = target;
}

void Program::follow_address() {
  const int table = pick(true);
  const int to = pick();
  if (table < 0 || to < 0) return;
  Buffer& holder = buffers_[table];
  for (uint32_t slot = 0; slot < holder.table.size(); ++slot) {
    const int target = holder.table[slot].target;
    if (target < 0 || target == to || !buffers_[target].live) continue;
    const int stream = static_cast<int>(random(2));
    for (int index : {table, to, target}) use(index, stream);
    CUdeviceptr dst = at(to);
    CUdeviceptr where = at(table);
    uint32_t key = random(1000);
    if (!buffers_[target].table.empty()) {
      // A table of tables.
      Buffer& inner = buffers_[target];
      for (uint32_t i = 0; i < inner.table.size(); ++i) {
        const int data = inner.table[i].target;
        if (data < 0 || data == to || !buffers_[data].live || !buffers_[data].table.empty()) continue;
        use(data, stream);
        uint32_t words = std::min(buffers_[to].words, buffers_[data].words);
        return launch("fuzz_follow_twice", stream, words, {&dst, &where, &slot, &i, &words});
      }
      continue;
    }
    uint32_t words = std::min(buffers_[to].words, buffers_[target].words);
    if (random(3) == 0) {
      words = buffers_[target].words;
      return launch("fuzz_write_through", stream, words, {&where, &slot, &words, &key});
    }
    return launch("fuzz_follow", stream, words, {&dst, &where, &slot, &words});
  }
}

// The host writes addresses into pinned memory that kernels read directly.
void Program::host_table() {
  const int table = pick(true);
  const int target = pick();
  if (table < 0 || target < 0 || !buffers_[table].host) return;
  Buffer& holder = buffers_[table];
  check(cu_.cuStreamSynchronize(streams_[holder.stream]), "cuStreamSynchronize");
  const uint32_t slot = random(static_cast<uint32_t>(holder.table.size()));
  holder.host_words[slot] = at(target);
  holder.table[slot].target = target;
}

// The host copies a whole table of addresses to the device: targets may be packed at this moment.
void Program::copy_table() {
  const int table = pick(true);
  if (table < 0 || buffers_[table].host) return;
  Buffer& holder = buffers_[table];
  std::vector<uint64_t> words(holder.table.size(), 0);
  for (size_t slot = 0; slot < words.size(); ++slot) {
    // Now and then the address of another table: holders of holders.
    const int target = random(4) == 0 ? pick(true) : pick();
    holder.table[slot].target = -1;
    if (target < 0 || target == table || buffers_[target].host || random(3) == 0) continue;
    words[slot] = at(target);
    holder.table[slot].target = target;
  }
  if (random(2) == 0) {
    check(cu_.cuStreamSynchronize(streams_[holder.stream]), "cuStreamSynchronize");
    check(cu_.cuMemcpyHtoD_v2(holder.address, words.data(), words.size() * 8), "cuMemcpyHtoD");
    check(cu_.cuStreamSynchronize(nullptr), "cuStreamSynchronize");
  } else {
    check(cu_.cuMemcpyHtoDAsync_v2(holder.address, words.data(), words.size() * 8, streams_[holder.stream]),
          "cuMemcpyHtoDAsync");
    check(cu_.cuStreamSynchronize(streams_[holder.stream]), "cuStreamSynchronize");
  }
  // A copy of the table on the device holds the same addresses.
  const int other = pick(true);
  if (other >= 0 && other != table && !buffers_[other].host && random(2) == 0) {
    const int stream = static_cast<int>(random(2));
    use(table, stream);
    use(other, stream);
    check(cu_.cuMemcpyDtoDAsync_v2(at(other), at(table), words.size() * 8, streams_[stream]), "cuMemcpyDtoDAsync");
    buffers_[other].table = buffers_[table].table;
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
      check(cu_.cuMemcpyDtoDAsync_v2(at(a), at(b), bytes, streams_[stream]), "cuMemcpyDtoDAsync");
      break;
    case 1:
      check(cu_.cuMemcpyAsync(at(a), at(b), bytes, streams_[stream]), "cuMemcpyAsync");
      break;
    case 2:
      check(cu_.cuMemsetD32Async(at(a), random(1u << 30), bytes / 8, streams_[stream]), "cuMemsetD32Async");
      break;
    case 3: {
      std::vector<uint32_t> host(bytes / 4);
      for (uint32_t& word : host) word = random(3);
      check(cu_.cuMemcpyHtoDAsync_v2(at(a), host.data(), bytes, streams_[stream]), "cuMemcpyHtoDAsync");
      check(cu_.cuStreamSynchronize(streams_[stream]), "cuStreamSynchronize");
      break;
    }
    default: {
      check(cu_.cuStreamSynchronize(streams_[stream]), "cuStreamSynchronize");
      const uint64_t pitch = 256;
      if (bytes < 4 * pitch) break;
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

}  // namespace fuzz
