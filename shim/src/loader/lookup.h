// From a real function's pointer to the hook that stands for it.
#pragma once

#include <string_view>

namespace loretoken::loader {

struct Found {
  void* hook = nullptr;  // the hook to hand out instead
  bool known = false;    // the pointer belongs to a line of the table
};

// By identity with the pointers of driver() and nvml(), so that a variant always meets its own hook. Lock-free after
// the first call; O(log n). May load libcuda: not for use inside dlsym.
Found find_by_pointer(void* real);

// The hook of a symbol's exact name, nullptr: not in the table. O(log n), no allocation, no driver.
void* hook_by_name(std::string_view symbol);

// Whether some version or per-thread variant of `base` (as cuGetProcAddress takes it) is hooked.
bool is_hooked_base(std::string_view base);

}  // namespace loretoken::loader
