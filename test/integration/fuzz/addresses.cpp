// The part of a generated program that stores addresses in memory and follows them.
#include <algorithm>
#include <cstring>

#include "model.h"

namespace fuzz {

// The buffer whose address is stored: one at a time, since all tables of a page are reached together.
int Program::pick_target() {
  if (target_ < 0 || !buffers_[target_].live) target_ = pick();
  return target_;
}

void Program::clear_tables() {
  target_ = -1;
  for (Buffer& buffer : buffers_) {
    if (buffer.table.empty()) continue;
    if (buffer.host) {
      check(cu_.cuStreamSynchronize(streams_[buffer.stream]), "cuStreamSynchronize");
      std::memset(buffer.host_words, 0, buffer.table.size() * 8);
    } else {
      check(cu_.cuMemsetD32Async(buffer.address, 0, buffer.words, streams_[buffer.stream]), "cuMemsetD32Async");
    }
    std::fill(buffer.table.begin(), buffer.table.end(), Stored{});
  }
}

void Program::store_address() {
  const int table = pick(true);
  const int target = pick_target();
  if (table < 0 || target < 0) return;
  if (buffers_[table].host) return host_table();
  const int stream = static_cast<int>(random(2));
  use(table, stream);
  use(target, stream);
  uint32_t slot = random(static_cast<uint32_t>(buffers_[table].table.size()));
  CUdeviceptr where = at(table);
  CUdeviceptr what = at(target);
  const uint64_t failures = failures_;
  launch("fuzz_store", stream, 1, {&where, &slot, &what});
  buffers_[table].table[slot].target = failures_ == failures ? target : -1;
  done(Kind::store);
}

// Follows the first slot of some table that leads to data; where there is none, stores one for the next time.
void Program::follow_address() {
  const int table = pick(true);
  const int to = pick();
  if (table < 0 || to < 0) return;
  for (uint32_t slot = 0; slot < buffers_[table].table.size(); ++slot) {
    if (follow_slot(table, slot, to)) return;
  }
  store_address();
}

bool Program::follow_slot(int table, uint32_t slot, int to) {
  const int target = buffers_[table].table[slot].target;
  if (target < 0 || target == to || !buffers_[target].live) return false;
  const int stream = static_cast<int>(random(2));
  CUdeviceptr dst = at(to);
  CUdeviceptr where = at(table);
  if (buffers_[target].table.empty()) {
    for (int index : {table, to, target}) use(index, stream);
    uint32_t words = std::min(buffers_[to].words, buffers_[target].words);
    uint32_t key = random(1000);
    if (random(3) == 0) {
      done(Kind::write_through);
      words = buffers_[target].words;
      launch("fuzz_write_through", stream, words, {&where, &slot, &words, &key});
    } else {
      done(Kind::follow);
      launch("fuzz_follow", stream, words, {&dst, &where, &slot, &words});
    }
    return true;
  }
  // A table of tables.
  for (uint32_t inner = 0; inner < buffers_[target].table.size(); ++inner) {
    const int data = buffers_[target].table[inner].target;
    if (data < 0 || data == to || !buffers_[data].live || !buffers_[data].table.empty()) continue;
    for (int index : {table, to, target, data}) use(index, stream);
    uint32_t words = std::min(buffers_[to].words, buffers_[data].words);
    done(Kind::follow_twice);
    launch("fuzz_follow_twice", stream, words, {&dst, &where, &slot, &inner, &words});
    return true;
  }
  return false;
}

// The host writes addresses into pinned memory that kernels read directly.
void Program::host_table() {
  const int table = 0;  // allocate_tables() makes it first, if it can
  const int target = random(2) == 0 ? pick(true) : pick_target();
  if (target < 0 || buffers_[target].host || !buffers_[table].host) return;
  Buffer& holder = buffers_[table];
  check(cu_.cuStreamSynchronize(streams_[holder.stream]), "cuStreamSynchronize");
  const uint32_t slot = random(static_cast<uint32_t>(holder.table.size()));
  holder.host_words[slot] = at(target);
  holder.table[slot].target = target;
  done(Kind::host_table);
}

// The host copies a whole table of addresses to the device: targets may be packed at this moment.
void Program::copy_table() {
  const int table = pick(true);
  if (table < 0 || buffers_[table].host) return;
  Buffer& holder = buffers_[table];
  std::vector<uint64_t> words(holder.table.size(), 0);
  for (size_t slot = 0; slot < words.size(); ++slot) {
    // Now and then the address of another table: holders of holders.
    const int target = random(4) == 0 ? pick(true) : pick_target();
    holder.table[slot].target = -1;
    if (target < 0 || target == table || buffers_[target].host || random(3) == 0) continue;
    words[slot] = at(target);
    holder.table[slot].target = target;
  }
  const uint64_t failures = failures_;
  if (random(2) == 0) {
    check(cu_.cuStreamSynchronize(streams_[holder.stream]), "cuStreamSynchronize");
    check(cu_.cuMemcpyHtoD_v2(holder.address, words.data(), words.size() * 8), "cuMemcpyHtoD");
    check(cu_.cuStreamSynchronize(nullptr), "cuStreamSynchronize");
  } else {
    check(cu_.cuMemcpyHtoDAsync_v2(holder.address, words.data(), words.size() * 8, streams_[holder.stream]),
          "cuMemcpyHtoDAsync");
    check(cu_.cuStreamSynchronize(streams_[holder.stream]), "cuStreamSynchronize");
  }
  if (failures_ != failures) std::fill(holder.table.begin(), holder.table.end(), Stored{});
  done(Kind::copy_table);
  // A copy of the table on the device holds the same addresses.
  const int other = pick(true);
  if (other >= 0 && other != table && !buffers_[other].host && random(2) == 0) {
    const int stream = static_cast<int>(random(2));
    use(table, stream);
    use(other, stream);
    check(cu_.cuMemcpyDtoDAsync_v2(at(other), at(table), words.size() * 8, streams_[stream]), "cuMemcpyDtoDAsync");
    if (failures_ == failures) buffers_[other].table = buffers_[table].table;
    done(Kind::duplicate_table);
  }
}

}  // namespace fuzz
