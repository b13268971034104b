// lt_directed <scenario> <kernels>: small programs in which one missing wait changes the result, when the right
// operation is slow, or one address that is not found ends the program. Prints the hash of what they computed.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "directed.h"

using namespace directed;

namespace {

// The first buffer is packed; its unpack is slow; the launch that reads it must wait for it.
void unpack_before_use(CUstream a, CUstream) {
  const CUdeviceptr first = allocate();
  const CUdeviceptr sum = allocate();
  fill(first, a, 1, 3);
  fill(sum, a, 2, 0);
  press(a);
  check(cu.cuCtxSynchronize(), "cuCtxSynchronize");
  uint32_t words = kWords;
  uint32_t key = 5;
  CUdeviceptr dst = sum;
  CUdeviceptr src = first;
  launch("fuzz_mix", a, {&dst, &src, &words, &key});
  check(cu.cuStreamSynchronize(a), "cuStreamSynchronize");
  print_hash(sum);
}

// A slow kernel still writes the first buffer while others press it out of memory.
void pack_after_use(CUstream a, CUstream b) {
  const CUdeviceptr first = allocate();
  fill(first, a, 1, 3);
  uint32_t words = kWords;
  uint32_t key = 5;
  CUdeviceptr dst = first;
  for (int i = 0; i < 4; ++i) {  // known by then: the last has no scan behind it that would be waited for
    check(cu.cuStreamSynchronize(a), "cuStreamSynchronize");
    launch("fuzz_thin", a, {&dst, &words, &key});
  }
  press(b);
  check(cu.cuCtxSynchronize(), "cuCtxSynchronize");
  print_hash(first);
}

// Memory freed on one stream is given to another while the first stream still reads it.
void reuse_after_free(CUstream a, CUstream b) {
  for (int round = 0; round < 4; ++round) {
    CUdeviceptr source = 0;
    check(cu.cuMemAllocAsync(&source, kWords * 4, a), "cuMemAllocAsync");
    const CUdeviceptr sum = allocate();
    fill(source, a, 1 + round, 3);
    fill(sum, a, 2, 0);
    check(cu.cuStreamSynchronize(a), "cuStreamSynchronize");
    uint32_t words = kWords;
    uint32_t key = 5;
    CUdeviceptr dst = sum;
    CUdeviceptr src = source;
    launch("fuzz_mix", a, {&dst, &src, &words, &key});
    check(cu.cuMemFreeAsync(source, a), "cuMemFreeAsync");
    CUdeviceptr other = 0;
    check(cu.cuMemAllocAsync(&other, kWords * 4, b), "cuMemAllocAsync");
    fill(other, b, 77, 5);
    check(cu.cuCtxSynchronize(), "cuCtxSynchronize");
    print_hash(sum);
    check(cu.cuMemFreeAsync(other, b), "cuMemFreeAsync");
    check(cu.cuCtxSynchronize(), "cuCtxSynchronize");
  }
}

// More than fits the limit, of content that packs; every byte is read back at the end.
void keep_all(CUstream a, CUstream) {
  std::vector<CUdeviceptr> kept;
  for (int i = 0; i < fillers(); ++i) {
    kept.push_back(allocate());
    fill(kept.back(), a, static_cast<uint32_t>(i), 3);
  }
  check(cu.cuCtxSynchronize(), "cuCtxSynchronize");
  for (const CUdeviceptr at : kept) print_hash(at);
}

// The context goes while memory is being packed: results that the mover waits for lie in it.
void release_early(CUstream a, CUstream) {
  const CUdeviceptr first = allocate();
  fill(first, a, 1, 3);
  check(cu.cuStreamSynchronize(a), "cuStreamSynchronize");
  print_hash(first);
  press(a, 3);
  check(cu.cuDevicePrimaryCtxRelease_v2(0), "cuDevicePrimaryCtxRelease");
  usleep(300'000);
}

// Buffers of three times the physical limit, changed one after the other, LT_ROUNDS times (default 4), or until the
// file LT_UNTIL is there; then LT_ROUNDS is the most. Prints how many rounds there were.
void cycle(CUstream a, CUstream) {
  const char* until = std::getenv("LT_UNTIL");
  const int rounds = number_of("LT_ROUNDS", 4);
  const auto told_to_end = [&] { return until != nullptr && access(until, F_OK) == 0; };
  std::vector<CUdeviceptr> kept;
  for (int i = 0; i < fillers(); ++i) {
    kept.push_back(allocate());
    fill(kept.back(), a, static_cast<uint32_t>(i), 3);
  }
  check(cu.cuStreamSynchronize(a), "cuStreamSynchronize");  // there may be no round
  int round = 0;
  for (; round < rounds && !told_to_end(); ++round) {
    for (size_t i = 0; i < kept.size(); ++i) {
      uint32_t words = kWords;
      uint32_t key = static_cast<uint32_t>(round);
      CUdeviceptr dst = kept[i];
      CUdeviceptr src = kept[(i + 1) % kept.size()];
      launch("fuzz_mix", a, {&dst, &src, &words, &key});
    }
    check(cu.cuStreamSynchronize(a), "cuStreamSynchronize");
  }
  std::printf("%d\n", round);
  for (const CUdeviceptr at : kept) print_hash(at);
}

// table[0] = target, by a kernel: the parameters of a later launch name the table alone.
void store(CUdeviceptr table, CUdeviceptr target, CUstream stream) {
  uint32_t slot = 0;
  launch("fuzz_store", stream, {&table, &slot, &target});
}

void follow(CUdeviceptr table, CUstream stream, bool twice) {
  CUdeviceptr sum = allocate();
  fill(sum, stream, 2, 0);
  uint32_t words = kWords;
  uint32_t slot = 0;
  if (twice) {
    launch("fuzz_follow_twice", stream, {&sum, &table, &slot, &slot, &words});
  } else {
    launch("fuzz_follow", stream, {&sum, &table, &slot, &words});
  }
  check(cu.cuStreamSynchronize(stream), "cuStreamSynchronize");
  print_hash(sum);
}

void stored_address(CUstream a, CUstream) {
  const CUdeviceptr table = allocate();
  const CUdeviceptr data = allocate();
  fill(data, a, 1, 3);
  store(table, data, a);
  press(a);
  follow(table, a, false);
}

void chain(CUstream a, CUstream) {
  const CUdeviceptr outer = allocate();
  const CUdeviceptr inner = allocate();
  const CUdeviceptr data = allocate();
  fill(data, a, 1, 3);
  store(inner, data, a);
  store(outer, inner, a);
  press(a);
  follow(outer, a, true);
}

// The table is freed before the scan behind the kernel that filled it can report: the kernel stores addresses all the
// same, and the next table it fills is not seen by another way.
void freed_table(CUstream a, CUstream) {
  const CUdeviceptr data = allocate();
  fill(data, a, 1, 3);
  CUdeviceptr table = 0;
  for (int i = 0; i < 4; ++i) {
    check(cu.cuMemAllocAsync(&table, 4096, a), "cuMemAllocAsync");
    store(table, data, a);
    check(cu.cuMemFreeAsync(table, a), "cuMemFreeAsync");
    check(cu.cuStreamSynchronize(a), "cuStreamSynchronize");
    fill(data, a, 1, 3);  // its launch takes in what has reported
  }
  check(cu.cuMemAllocAsync(&table, 4096, a), "cuMemAllocAsync");
  store(table, data, a);
  press(a);
  follow(table, a, false);
}

void host_table(CUstream a, CUstream) {
  void* table = nullptr;
  check(cu.cuMemHostAlloc(&table, 4096, CU_MEMHOSTALLOC_DEVICEMAP), "cuMemHostAlloc");
  const CUdeviceptr data = allocate();
  fill(data, a, 1, 3);
  std::memcpy(table, &data, sizeof data);
  press(a);
  follow(reinterpret_cast<CUdeviceptr>(table), a, false);
}

// A stream waits for a value that this thread writes only after a launch which needs room: the room must not be sought
// where that stream holds it.
void value_after_room(CUstream a, CUstream b) {
  const CUdeviceptr first = allocate();
  const CUdeviceptr flag = allocate();
  for (uint32_t i = 0; i < 8; ++i) fill(first, b, i, 3);  // known by then: no scan behind them
  check(cu.cuMemsetD32Async(flag, 0, 1, b), "cuMemsetD32Async");
  check(cu.cuCtxSynchronize(), "cuCtxSynchronize");
  check(cu.cuStreamWaitValue32_v2(a, flag, 1, CU_STREAM_WAIT_VALUE_GEQ), "cuStreamWaitValue32");
  fill(first, a, 2, 3);
  press(b);
  check(cu.cuStreamSynchronize(b), "cuStreamSynchronize");
  check(cu.cuStreamWriteValue32_v2(b, flag, 1, 0), "cuStreamWriteValue32");
  check(cu.cuCtxSynchronize(), "cuCtxSynchronize");
  print_hash(first);
}

// As value_after_room, with a kernel behind the wait whose stores are looked for: until that has reported no unit is a
// victim, so what is packed must make the room.
void value_before_scan(CUstream a, CUstream b) {
  const CUdeviceptr first = allocate();
  const CUdeviceptr flag = allocate();
  fill(first, b, 1, 3);
  check(cu.cuMemsetD32Async(flag, 0, 1, b), "cuMemsetD32Async");
  press(b);
  check(cu.cuCtxSynchronize(), "cuCtxSynchronize");
  check(cu.cuStreamWaitValue32_v2(a, flag, 1, CU_STREAM_WAIT_VALUE_GEQ), "cuStreamWaitValue32");
  uint32_t words = kWords;
  uint32_t key = 5;
  CUdeviceptr dst = first;
  launch("fuzz_thin", a, {&dst, &words, &key});
  for (uint32_t i = 0; i < 6; ++i) fill(allocate(), b, i, 3);
  check(cu.cuStreamSynchronize(b), "cuStreamSynchronize");
  check(cu.cuStreamWriteValue32_v2(b, flag, 1, 0), "cuStreamWriteValue32");
  check(cu.cuCtxSynchronize(), "cuCtxSynchronize");
  print_hash(first);
}

}  // namespace

int main(int argc, char** argv) {
  CUdevice device = 0;
  CUcontext context = nullptr;
  if (argc != 3 || !fuzz::open_driver(&cu) || cu.cuInit(0) != CUDA_SUCCESS ||
      cu.cuDeviceGet(&device, 0) != CUDA_SUCCESS || cu.cuDevicePrimaryCtxRetain(&context, device) != CUDA_SUCCESS ||
      cu.cuCtxSetCurrent(context) != CUDA_SUCCESS || cu.cuModuleLoad(&module, argv[2]) != CUDA_SUCCESS) {
    std::fprintf(stderr, "usage: lt_directed <scenario> <kernels>; or no device\n");
    return 2;
  }
  CUstream a = nullptr;
  CUstream b = nullptr;
  check(cu.cuStreamCreate(&a, CU_STREAM_NON_BLOCKING), "cuStreamCreate");
  check(cu.cuStreamCreate(&b, CU_STREAM_NON_BLOCKING), "cuStreamCreate");
  const std::string scenario = argv[1];
  if (scenario == "unpack_before_use") unpack_before_use(a, b);
  if (scenario == "pack_after_use") pack_after_use(a, b);
  if (scenario == "reuse_after_free") reuse_after_free(a, b);
  if (scenario == "keep_all") keep_all(a, b);
  if (scenario == "release_early") release_early(a, b);
  if (scenario == "cycle") cycle(a, b);
  if (scenario == "value_after_room") value_after_room(a, b);
  if (scenario == "value_before_scan") value_before_scan(a, b);
  if (scenario == "stored_address") stored_address(a, b);
  if (scenario == "chain") chain(a, b);
  if (scenario == "freed_table") freed_table(a, b);
  if (scenario == "host_table") host_table(a, b);
  if (scenario == "damaged_packed") damaged(a, 3, 1);
  if (scenario == "damaged_host") damaged(a, 6, 6);
  if (scenario == "damaged_kept") damaged_kept(a);
  if (scenario == "unpack_refused") unpack_refused(a);
  return failures == 0 ? 0 : 1;
}
