// What every exported function does first.
#ifndef LORETOKEN_SIM_API_H
#define LORETOKEN_SIM_API_H

#include <cuda.h>

#include <memory>

#include "inject.h"
#include "scheduler.h"
#include "state.h"

namespace loretoken::sim {

enum class Need {
  kNothing,  // works before cuInit
  kInit,     // needs cuInit
  kCurrent,  // needs a living current context, in error or not
  kContext,  // needs a living current context without a sticky error
};

// Consults fault injection, refuses calls out of a host function, and finds the current context.
class ApiCall {
 public:
  ApiCall(const char* name, Need need);
  ~ApiCall() { inject::on_return(name_); }
  ApiCall(const ApiCall&) = delete;
  ApiCall& operator=(const ApiCall&) = delete;

  CUresult error = CUDA_SUCCESS;
  std::shared_ptr<Context> ctx;  // for Need::kCurrent and Need::kContext

 private:
  const char* name_;
};

#define SIM_API(name, need)       \
  ApiCall api(#name, Need::need); \
  if (api.error != CUDA_SUCCESS) return api.error
// The same, then the lock.
#define SIM_API_LOCKED(name, need) \
  SIM_API(name, need);             \
  Lock lock(state().mutex)

// While one lives, a null stream means the calling thread's own default stream (_ptds and _ptsz variants).
class PerThreadDefault {
 public:
  PerThreadDefault();
  ~PerThreadDefault();

 private:
  bool before_;
};
bool per_thread_default();

// Marks the thread as inside a host function.
class InHostFunction {
 public:
  InHostFunction();
  ~InHostFunction();
};

uint64_t thread_number();

// The stream a handle means for the calling thread; null when it is none.
std::shared_ptr<Stream> find_stream(Context& ctx, CUstream handle);

// Current contexts of the calling thread, innermost last.
std::vector<std::shared_ptr<Context>>& context_stack();

template <class T>
T as_handle(const void* object) {
  return reinterpret_cast<T>(const_cast<void*>(object));
}

}  // namespace loretoken::sim

#endif  // LORETOKEN_SIM_API_H
