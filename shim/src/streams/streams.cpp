#include "streams/streams.h"

#include <sched.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <thread>

#include "driver/driver.h"

namespace loretoken {
namespace {

struct Cached {
  uint64_t generation = 0;
  CUcontext context = nullptr;
  CUstream stream = nullptr;
  bool per_thread = false;
  StreamSlot* slot = nullptr;
};
thread_local Cached t_cached;

uint64_t thread_key() {
  return std::hash<std::thread::id>{}(std::this_thread::get_id()) | 1;
}

}  // namespace

size_t Streams::KeyHash::operator()(const Key& key) const {
  uint64_t h = reinterpret_cast<uint64_t>(key.context) * 0x9E3779B97F4A7C15ull;
  h ^= reinterpret_cast<uint64_t>(key.stream) * 0xC2B2AE3D27D4EB4Full;
  return static_cast<size_t>((h ^ key.thread) * 0xFF51AFD7ED558CCDull);
}

StreamSlot& Streams::slot_of(CUstream stream, bool per_thread_default) {
  bool per_thread = stream == CU_STREAM_PER_THREAD || (stream == nullptr && per_thread_default);
  if (per_thread) stream = CU_STREAM_PER_THREAD;
  if (stream == CU_STREAM_LEGACY) stream = nullptr;
  const bool implicit = per_thread || stream == nullptr;
  CUcontext context = nullptr;
  if (implicit) driver().cuCtxGetCurrent(&context);
  Cached& cached = t_cached;
  if (cached.slot != nullptr && cached.stream == stream && cached.per_thread == per_thread &&
      (!implicit || cached.context == context) && cached.generation == generation_.load(std::memory_order_acquire)) {
    return *cached.slot;
  }
  const uint64_t generation = generation_.load(std::memory_order_acquire);
  if (!implicit) driver().cuStreamGetCtx(stream, &context);
  StreamSlot& slot = find_or_open({implicit ? context : nullptr, stream, per_thread ? thread_key() : 0}, per_thread);
  if (slot.context == nullptr) slot.context = context;
  cached = {generation, implicit ? context : nullptr, stream, per_thread, &slot};
  return slot;
}

StreamSlot& Streams::find_or_open(const Key& key, bool per_thread) {
  std::lock_guard lock(mutex_);
  if (auto it = by_key_.find(key); it != by_key_.end()) return *it->second;
  StreamSlot* slot = nullptr;
  for (auto& old : slots_) {
    // A closed slot whose work is done serves again; its counters go on, so old tickets stay true.
    if (!old->open.load(std::memory_order_relaxed) &&
        old->passed.load(std::memory_order_acquire) >= old->submitted.load(std::memory_order_acquire)) {
      slot = old.get();
      break;
    }
  }
  if (slot == nullptr) {
    slot = slots_.emplace_back(std::make_unique<StreamSlot>()).get();
    slot->index = static_cast<uint32_t>(std::min<size_t>(slots_.size() - 1, kStreamBits - 1));
  }
  slot->context = key.context;
  if (key.context == nullptr && key.stream != nullptr) driver().cuStreamGetCtx(key.stream, &slot->context);
  slot->stream = key.stream;
  slot->per_thread = per_thread;
  CUdevice device = 0;
  {
    ContextScope scope(slot->context);
    driver().cuCtxGetDevice(&device);
  }
  slot->device = static_cast<uint8_t>(device);
  slot->open.store(true, std::memory_order_release);
  by_key_.emplace(key, slot);
  return *slot;
}

void Streams::submitted(StreamSlot& slot) {
  const uint64_t seq = slot.submitted.fetch_add(1, std::memory_order_acq_rel) + 1;
  if (slot.per_thread && fencing_.load(std::memory_order_relaxed)) {
    std::lock_guard lock(slot.mutex_);
    CUevent event = nullptr;
    RelaxedCapture relaxed;
    ContextScope scope(slot.context);
    if (driver().cuEventCreate(&event, CU_EVENT_DISABLE_TIMING) != CUDA_SUCCESS) return;
    if (driver().cuEventRecord(event, slot.stream) != CUDA_SUCCESS) {
      driver().cuEventDestroy_v2(event);
      return;
    }
    slot.marks_.push_back({event, seq});
    if (slot.marks_.size() > 8) poll(slot, seq);
  }
}

Fence Streams::mark(uint8_t device, uint64_t mask) const {
  Fence fence;
  std::lock_guard lock(mutex_);
  for (const auto& slot : slots_) {
    if (slot->device != device || (mask >> slot->index & 1) == 0) continue;
    const uint64_t seq = slot->submitted.load(std::memory_order_acquire);
    if (slot->passed.load(std::memory_order_acquire) < seq) fence.push_back({slot.get(), seq});
  }
  return fence;
}

// Takes finished marks off the front. True once `seq` is known to be passed.
bool Streams::poll(StreamSlot& slot, uint64_t seq) {
  while (!slot.marks_.empty()) {
    const auto mark = slot.marks_.front();
    const CUresult result = driver().cuEventQuery(mark.event);
    if (result == CUDA_ERROR_NOT_READY) break;
    if (result == CUDA_SUCCESS) {
      uint64_t old = slot.passed.load(std::memory_order_relaxed);
      while (old < mark.seq && !slot.passed.compare_exchange_weak(old, mark.seq, std::memory_order_acq_rel)) {
      }
    }
    // Any other result: the context failed or the event was drawn into a capture; it proves nothing and is dropped.
    slot.marks_.pop_front();
    driver().cuEventDestroy_v2(mark.event);
    if (result != CUDA_SUCCESS) break;
  }
  return slot.passed.load(std::memory_order_acquire) >= seq;
}

// Finds or records an event that covers `seq`.
bool Streams::cover(StreamSlot& slot, uint64_t seq) {
  for (const auto& mark : slot.marks_) {
    if (mark.seq >= seq) return true;
  }
  if (slot.per_thread) {
    fencing_.store(true, std::memory_order_relaxed);
    return false;
  }
  if (!slot.open.load(std::memory_order_acquire)) return false;
  if (any_capture() && slot.stream != nullptr && capturing(slot)) return false;
  // The legacy stream may not be touched while a stream that synchronises with it is captured. No capture begins
  // between the question and the record.
  std::unique_lock<std::mutex> no_capture_begins(legacy_mutex_, std::defer_lock);
  if (slot.stream == nullptr) {
    no_capture_begins.lock();
    if (any_capture() && captured_with_legacy(slot.context)) return false;
  }
  const uint64_t covered = slot.submitted.load(std::memory_order_acquire);
  CUevent fresh = nullptr;
  ContextScope scope(slot.context);
  if (driver().cuEventCreate(&fresh, CU_EVENT_DISABLE_TIMING) != CUDA_SUCCESS) return false;
  if (driver().cuEventRecord(fresh, slot.stream) != CUDA_SUCCESS) {
    driver().cuEventDestroy_v2(fresh);
    return false;
  }
  slot.marks_.push_back({fresh, covered});
  return true;
}

bool Streams::passed(const Ticket& ticket) {
  StreamSlot& slot = *ticket.slot;
  if (slot.passed.load(std::memory_order_acquire) >= ticket.seq) return true;
  RelaxedCapture relaxed;
  std::lock_guard lock(slot.mutex_);
  if (poll(slot, ticket.seq)) return true;
  cover(slot, ticket.seq);
  return false;
}

bool Streams::passed(const Fence& fence) {
  bool all = true;
  for (const Ticket& ticket : fence) all = passed(ticket) && all;
  return all;
}

bool Streams::covered(const Fence& fence) {
  return std::all_of(fence.begin(), fence.end(), [&](const Ticket& ticket) {
    if (passed(ticket)) return true;
    RelaxedCapture relaxed;
    std::lock_guard lock(ticket.slot->mutex_);
    return cover(*ticket.slot, ticket.seq) || any_capture();
  });
}

CUresult Streams::synchronize(const Fence& fence) {
  for (const Ticket& ticket : fence) {
    StreamSlot& slot = *ticket.slot;
    while (!passed(ticket)) {
      bool coverable = false;
      {
        RelaxedCapture relaxed;
        std::lock_guard lock(slot.mutex_);
        coverable = cover(slot, ticket.seq);
      }
      if (!coverable && !any_capture()) {
        // A per-thread stream from another thread, or one that failed to take an event: wait for its whole context.
        const uint64_t seq = slot.submitted.load(std::memory_order_acquire);
        RelaxedCapture relaxed;
        ContextScope scope(slot.context);
        const CUresult result = driver().cuCtxSynchronize();
        if (result != CUDA_SUCCESS) return result;
        uint64_t old = slot.passed.load(std::memory_order_relaxed);
        while (old < seq && !slot.passed.compare_exchange_weak(old, seq, std::memory_order_acq_rel)) {
        }
        continue;
      }
      sched_yield();
    }
  }
  return CUDA_SUCCESS;
}

void Streams::stream_closing(CUstream stream) {
  StreamSlot* slot = nullptr;
  {
    std::lock_guard lock(mutex_);
    const auto it = by_key_.find({nullptr, stream, 0});
    if (it == by_key_.end()) return;
    slot = it->second;
    by_key_.erase(it);
  }
  {
    RelaxedCapture relaxed;
    std::lock_guard lock(slot->mutex_);
    const uint64_t seq = slot->submitted.load(std::memory_order_acquire);
    if (slot->passed.load(std::memory_order_acquire) < seq) cover(*slot, seq);
    slot->open.store(false, std::memory_order_release);
  }
  generation_.fetch_add(1, std::memory_order_acq_rel);
}

void Streams::context_closing(CUcontext context) {
  std::vector<StreamSlot*> closing;
  {
    std::lock_guard lock(mutex_);
    for (auto it = by_key_.begin(); it != by_key_.end();) {
      StreamSlot* slot = it->second;
      if (slot->context == context) closing.push_back(slot);
      it = slot->context == context ? by_key_.erase(it) : std::next(it);
    }
  }
  for (StreamSlot* slot : closing) {
    std::lock_guard slot_lock(slot->mutex_);
    slot->marks_.clear();  // the events go with the context
    slot->passed.store(slot->submitted.load(std::memory_order_acquire), std::memory_order_release);
    slot->open.store(false, std::memory_order_release);
  }
  generation_.fetch_add(1, std::memory_order_acq_rel);
}

void Streams::capture_began(StreamSlot& capturing_slot) {
  std::vector<StreamSlot*> open;
  {
    std::lock_guard lock(mutex_);
    for (const auto& slot : slots_) {
      if (slot->open.load(std::memory_order_acquire) && slot->device == capturing_slot.device)
        open.push_back(slot.get());
    }
  }
  RelaxedCapture relaxed;
  for (StreamSlot* slot : open) {
    std::lock_guard lock(slot->mutex_);
    const uint64_t seq = slot->submitted.load(std::memory_order_acquire);
    if (slot->passed.load(std::memory_order_acquire) < seq) cover(*slot, seq);
  }
  std::lock_guard no_legacy_record(legacy_mutex_);
  captures_.fetch_add(1, std::memory_order_acq_rel);
}

// Whether a stream of the context that synchronises with its legacy stream is captured. The capture that is just about
// to begin counts as one.
bool Streams::captured_with_legacy(CUcontext context) {
  std::lock_guard lock(mutex_);
  uint32_t found = 0;
  for (const auto& slot : slots_) {
    // A thread's own stream cannot be asked from here: a capture of it is one that was not found.
    if (!slot->open.load(std::memory_order_acquire) || slot->stream == nullptr || slot->per_thread) continue;
    if (slot->context != context || !capturing(*slot)) continue;
    ++found;
    unsigned int flags = 0;
    if (driver().cuStreamGetFlags(slot->stream, &flags) != CUDA_SUCCESS) return true;
    if ((flags & CU_STREAM_NON_BLOCKING) == 0) return true;
  }
  return found < captures_.load(std::memory_order_acquire);
}

void Streams::capture_ended() {
  captures_.fetch_sub(1, std::memory_order_acq_rel);
}

bool Streams::capturing(const StreamSlot& slot) const {
  if (captures_.load(std::memory_order_relaxed) == 0) return false;
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
  if (driver().cuStreamIsCapturing(slot.stream, &status) != CUDA_SUCCESS) return false;
  return status != CU_STREAM_CAPTURE_STATUS_NONE;
}

Streams& streams() {
  static Streams* instance = new Streams;  // never destroyed: the driver may call back after main
  return *instance;
}

RelaxedCapture::RelaxedCapture() {
  driver().cuThreadExchangeStreamCaptureMode(&mode_);
}
RelaxedCapture::~RelaxedCapture() {
  driver().cuThreadExchangeStreamCaptureMode(&mode_);
}

CUresult set_now(CUdeviceptr at, unsigned char value, uint64_t bytes) {
  RelaxedCapture relaxed;
  CUstream stream = nullptr;
  CUresult result = driver().cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING);
  if (result != CUDA_SUCCESS) return result;
  result = driver().cuMemsetD8Async(at, value, bytes, stream);
  const CUresult waited = driver().cuStreamSynchronize(stream);
  driver().cuStreamDestroy_v2(stream);
  return result != CUDA_SUCCESS ? result : waited;
}

ContextScope::ContextScope(CUcontext context) {
  CUcontext current = nullptr;
  driver().cuCtxGetCurrent(&current);
  if (context == nullptr || context == current) return;
  pushed_ = driver().cuCtxPushCurrent_v2(context) == CUDA_SUCCESS;
}

ContextScope::~ContextScope() {
  CUcontext ignored = nullptr;
  if (pushed_) driver().cuCtxPopCurrent_v2(&ignored);
}

}  // namespace loretoken
