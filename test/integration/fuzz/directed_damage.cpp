// What lies packed is damaged, or the driver refuses to unpack it.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include "directed.h"

namespace directed {
namespace {

void poll(const std::function<CUresult()>& query, const char* what) {
  CUresult result = query();
  for (; result == CUDA_ERROR_NOT_READY; result = query()) usleep(1000);
  check(result, what);
}

// Has the simulator do what LT_INJECT says, a rule of its control file, while nothing moves.
void inject(CUstream stream) {
  CUdeviceptr spare = 0;
  check(cu.cuMemAlloc_v2(&spare, 4096), "cuMemAlloc");
  check(cu.cuCtxSynchronize(), "cuCtxSynchronize");
  const char* control = std::getenv("LORETOKEN_SIM_CONTROL");
  const char* rule = std::getenv("LT_INJECT");
  if (control != nullptr && rule != nullptr) {
    usleep(300'000);  // what the shim does by itself comes to rest
    std::FILE* file = std::fopen(control, "w");
    std::fprintf(file, "%s\n", rule);
    std::fclose(file);
    usleep(50'000);
  }
  check(cu.cuMemsetD32Async(spare, 0, 1, stream), "cuMemsetD32Async");
  check(cu.cuCtxSynchronize(), "cuCtxSynchronize");
}

// By the call that LT_WAIT names; none: not at all.
void wait_for(CUstream stream) {
  const char* given = std::getenv("LT_WAIT");
  const std::string how = given != nullptr ? given : "";
  if (how == "context") check(cu.cuCtxSynchronize(), "cuCtxSynchronize");
  if (how == "stream") check(cu.cuStreamSynchronize(stream), "cuStreamSynchronize");
  if (how == "event" || how == "event query") {
    CUevent event = nullptr;
    check(cu.cuEventCreate(&event, CU_EVENT_DISABLE_TIMING), "cuEventCreate");
    check(cu.cuEventRecord(event, stream), "cuEventRecord");
    if (how == "event") check(cu.cuEventSynchronize(event), "cuEventSynchronize");
    if (how == "event query") poll([&] { return cu.cuEventQuery(event); }, "cuEventQuery");
    check(cu.cuEventDestroy_v2(event), "cuEventDestroy");
  }
  if (how == "stream query") poll([&] { return cu.cuStreamQuery(stream); }, "cuStreamQuery");
}

}  // namespace

// What lies packed is damaged, then read by a kernel: first the kernel's own result is asked for, then what it read. At
// last that memory gets another content. The kernel runs where blocking copies wait for it.
void damaged(CUstream a, uint32_t kind, uint32_t filler_kind) {
  const CUdeviceptr first = allocate();
  fill(first, a, 1, kind);
  press(a, filler_kind);
  inject(a);
  const CUdeviceptr sum = allocate();
  fill(sum, nullptr, 2, 0);
  uint32_t words = kWords;
  uint32_t key = 5;
  CUdeviceptr dst = sum;
  CUdeviceptr src = first;
  launch("fuzz_mix", nullptr, {&dst, &src, &words, &key});
  wait_for(nullptr);
  print_hash(sum);
  print_hash(first);
  check(cu.cuMemFree_v2(first), "cuMemFree");
  const CUdeviceptr again = allocate();
  fill(again, a, 9, kind);
  check(cu.cuStreamSynchronize(a), "cuStreamSynchronize");
  print_hash(again);
}

// The blob of what is raw again is damaged; then the raw bytes, which nobody wrote meanwhile, must go once more.
void damaged_kept(CUstream a) {
  const CUdeviceptr first = allocate();
  fill(first, a, 1, 3);
  const auto press_slowly = [&] {  // no stream holds what is packed, so that no blob has to be given up for room
    for (uint32_t i = 0; i < static_cast<uint32_t>(fillers()); ++i) {
      fill(allocate(), a, i, 1);
      check(cu.cuCtxSynchronize(), "cuCtxSynchronize");
    }
  };
  press_slowly();
  print_hash(first);
  inject(a);
  press_slowly();
  print_hash(first);
}

// The driver refuses, for a while, what the shim would unpack with.
void unpack_refused(CUstream a) {
  const CUdeviceptr first = allocate();
  fill(first, a, 1, 3);
  press(a, 1);
  inject(a);
  print_hash(first);
  const char* control = std::getenv("LORETOKEN_SIM_CONTROL");
  if (control != nullptr) std::fclose(std::fopen(control, "w"));
  usleep(50'000);
  print_hash(first);
}

}  // namespace directed
