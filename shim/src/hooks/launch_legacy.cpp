// Launches of the old interface, whose parameters were set before, and launches on several devices at once: what they
// point to is pinned. Launches on memory that holds pointers may reach everything.
#include <algorithm>
#include <cstring>
#include <mutex>
#include <unordered_map>

#include "hooks/operation.h"

namespace loretoken::hooks {
namespace {

struct SetParams {
  std::mutex mutex;
  std::unordered_map<CUfunction, std::vector<uint64_t>> words;
};

SetParams& set_params() {
  static auto* params = new SetParams;
  return *params;
}

// Keeps the words that could be addresses.
struct WordSink {
  std::vector<uint64_t> kept;
  void words(const void* data, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
      uint64_t word;
      std::memcpy(&word, static_cast<const unsigned char*>(data) + uint64_t{4} * i, sizeof(word));
      if (window().contains(word) || known_range_at(word)) kept.push_back(word);
    }
  }
  void everything() {}
};

void pin_words(const std::vector<uint64_t>& words) {
  for (const uint64_t word : words) pin_address(word, 1, Pin::kUnknownCall);
}

CUresult launch_set(CUfunction function, CUstream stream, DriverCall call) {
  if (nothing_ours()) return call();
  std::vector<uint64_t> words;
  {
    std::lock_guard lock(set_params().mutex);
    if (const auto at = set_params().words.find(function); at != set_params().words.end()) words = at->second;
  }
  return reach_core().operate(
      [&](Walk& walk) {
        for (const uint64_t word : words) walk.word(word);
      },
      [&](uint64_t places) -> Behaviour& { return reach_core().functions.find(function).behaviour(places); },
      [](Behaviour&, bool) { return true; }, Stores::kReached, streams().slot_of(stream), call);
}

}  // namespace

CUresult cuParamSetv(CUfunction function, int offset, void* data, unsigned int bytes) {
  if (!nothing_ours() && data != nullptr && bytes >= 8) {
    WordSink sink;
    sink.words(data, (bytes - 4) / 4);
    pin_words(sink.kept);
    std::lock_guard lock(set_params().mutex);
    std::vector<uint64_t>& words = set_params().words[function];
    words.insert(words.end(), sink.kept.begin(), sink.kept.end());
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
  }
  return driver().cuParamSetv(function, offset, data, bytes);
}

CUresult cuLaunch(CUfunction function) {
  return launch_set(function, nullptr, [&] { return driver().cuLaunch(function); });
}

CUresult cuLaunchGrid(CUfunction function, int width, int height) {
  return launch_set(function, nullptr, [&] { return driver().cuLaunchGrid(function, width, height); });
}

CUresult cuLaunchGridAsync(CUfunction function, int width, int height, CUstream stream) {
  return launch_set(function, stream, [&] { return driver().cuLaunchGridAsync(function, width, height, stream); });
}

// One slot for all streams will not do: everything that is reached is pinned and every stream is marked.
CUresult cuLaunchCooperativeKernelMultiDevice(CUDA_LAUNCH_PARAMS* launches, unsigned int count, unsigned int flags) {
  const auto call = [&] { return driver().cuLaunchCooperativeKernelMultiDevice(launches, count, flags); };
  if (nothing_ours() || launches == nullptr) return call();
  ReachCore& core = reach_core();
  for (unsigned int i = 0; i < count; ++i) {
    ReachSet set;
    Walk walk(&set);
    walk_params(core.functions.find(launches[i].function), launches[i].kernelParams, nullptr, &walk);
    Closure closure;
    walk.close(core.edges, &closure);
    StreamSlot& slot = streams().slot_of(launches[i].hStream);
    for (Unit* unit : set) {
      pin_address(unit->base, 1, Pin::kUnknownCall);
      unit->stream_mask.fetch_or(slot.mask(), std::memory_order_relaxed);
    }
  }
  const CUresult result = call();
  for (unsigned int i = 0; i < count; ++i) streams().submitted(streams().slot_of(launches[i].hStream));
  return result;
}

}  // namespace loretoken::hooks
