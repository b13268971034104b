// Stacks of fibers and the switch between them.
#ifndef LORETOKEN_HOST_STACK_H
#define LORETOKEN_HOST_STACK_H

#include <cstddef>

// Saves the callee-saved registers on the current stack, stores its pointer in *from and continues on `to`.
extern "C" __attribute__((visibility("hidden"))) void lt_host_switch(void** from, void* to);
// Calls body(argument) with r15 = context.
extern "C" __attribute__((visibility("hidden"))) void lt_host_call(void* context, void (*body)(void*), void* argument);

namespace loretoken::host {

// The stacks of one warp's threads, each with a guard page below. Memory is taken as it is touched.
class WarpStacks {
 public:
  WarpStacks();  // data() is null if there is no memory
  ~WarpStacks();
  WarpStacks(const WarpStacks&) = delete;
  WarpStacks& operator=(const WarpStacks&) = delete;

  // Makes the lane's stack empty. Its first switch enters `entry`, with r15 = context; `entry` must not return.
  void* prepare(unsigned lane, void (*entry)(), void* context) const;
  explicit operator bool() const { return memory_ != nullptr; }

 private:
  char* memory_ = nullptr;
};

}  // namespace loretoken::host

#endif  // LORETOKEN_HOST_STACK_H
