// What the hooks of launches, copies and sets share.
#pragma once

#include "hooks/hooks.h"
#include "memory/page_table.h"
#include "reach/core.h"
#include "runtime/runtime.h"
#include "streams/streams.h"

namespace loretoken::hooks {

// No memory of ours exists: every call is the driver's alone. Two loads.
inline bool nothing_ours() {
  return window().bytes.load(std::memory_order_acquire) == 0 || Runtime::get() == nullptr;
}

inline CopySpec plain(uint64_t dst, uint64_t src, uint64_t bytes) {
  return {dst, src, bytes, 1, bytes, bytes};
}

inline uint64_t address_of(const void* pointer) {
  return reinterpret_cast<uint64_t>(pointer);
}

// A copy of one or more pieces on a stream.
inline CUresult copy_on(std::span<const CopySpec> specs, CUstream stream, bool per_thread, bool async,
                        DriverCall call) {
  if (nothing_ours()) return call();
  return reach_core().copy(specs, streams().slot_of(stream, per_thread), async, call);
}

inline CUresult copy_on(const CopySpec& spec, CUstream stream, bool per_thread, bool async, DriverCall call) {
  return copy_on(std::span(&spec, 1), stream, per_thread, async, call);
}

// An operation on given ranges that neither reads nor carries addresses.
inline CUresult touch_on(const CopySpec& spec, CUstream stream, bool per_thread, Blocking blocking, DriverCall call) {
  if (nothing_ours()) return call();
  return reach_core().touch({&spec, 1}, streams().slot_of(stream, per_thread), blocking, call);
}

}  // namespace loretoken::hooks
