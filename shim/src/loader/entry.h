// What stands between an exported driver function and its hook.
//
// Cost per call on top of the hook: one acquire load (driver()), one thread-local increment and decrement.
#pragma once

#include <cxxabi.h>

#include <atomic>
#include <new>
#include <type_traits>

#include "base/depth.h"
#include "base/log.h"
#include "driver/driver.h"
#include "hooks/hooks.h"

namespace loretoken::loader {

// Results of an entry whose real function is missing or whose hook failed inside.
template <class R>
struct Results;
template <>
struct Results<CUresult> {
  static CUresult missing() { return driver().handle == nullptr ? CUDA_ERROR_NOT_INITIALIZED : CUDA_ERROR_NOT_FOUND; }
  static constexpr CUresult kNoMemory = CUDA_ERROR_OUT_OF_MEMORY;
  static constexpr CUresult kFailed = CUDA_ERROR_UNKNOWN;
};
template <>
struct Results<nvmlReturn_t> {
  static nvmlReturn_t missing() { return NVML_ERROR_UNINITIALIZED; }
  static constexpr nvmlReturn_t kNoMemory = NVML_ERROR_UNKNOWN;
  static constexpr nvmlReturn_t kFailed = NVML_ERROR_UNKNOWN;
};

// Says once per process that a hook failed.
inline void report_failure(const char* what) {
  static std::atomic<bool> said{false};
  if (!said.exchange(true, std::memory_order_relaxed)) log_error("a hook failed inside: %s", what);
}

// real: what the driver offers (nullptr: nothing). hook: called with the same arguments.
// A failure inside a hook is returned as an error and not tried again on the real function, which may have run already.
template <class R, class Hook, class... A>
R enter(R (*real)(A...), Hook&& hook, A... arguments) {
  if (real == nullptr) return Results<R>::missing();
  if (InShim::inside()) return real(arguments...);
  InShim guard;
  try {
    return hook(arguments...);
  } catch (const std::bad_alloc&) {
    report_failure("out of host memory");
    return Results<R>::kNoMemory;
  } catch (const abi::__forced_unwind&) {
    throw;  // the thread is being cancelled
  } catch (const std::exception& failure) {
    report_failure(failure.what());
    return Results<R>::kFailed;
  } catch (...) {
    report_failure("unknown exception");
    return Results<R>::kFailed;
  }
}

template <auto Hook, class F>
struct Entry;

// HOOK: the hook has the real signature.
template <auto Hook, class R, class... A>
struct Entry<Hook, R (*)(A...)> {
  template <auto Real>
  static R call(A... arguments) {
    return enter<R>(
        Real(), [](A... a) { return Hook(a...); }, arguments...);
  }
  // HOOK_PT: the hook has one more parameter.
  template <auto Real, bool kPerThread>
  static R call_pt(A... arguments) {
    return enter<R>(
        Real(), [](A... a) { return Hook(a..., kPerThread); }, arguments...);
  }
};

}  // namespace loretoken::loader
