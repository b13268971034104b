// Thread-local depth guard: calls made while the shim itself is at work are passed to the real function untouched.
#pragma once

namespace loretoken {

inline thread_local int t_shim_depth __attribute__((tls_model("initial-exec"))) = 0;

class InShim {
 public:
  InShim() { ++t_shim_depth; }
  ~InShim() { --t_shim_depth; }
  InShim(const InShim&) = delete;
  InShim& operator=(const InShim&) = delete;
  static bool inside() { return t_shim_depth != 0; }
};

}  // namespace loretoken
