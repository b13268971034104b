#include "memory/unit.h"

#include <algorithm>

#include "memory/physical.h"

namespace loretoken {

const char* to_string(Pin pin) {
  switch (pin) {
    case Pin::kExported:
      return "exported";
    case Pin::kRegistered:
      return "registered";
    case Pin::kCaptured:
      return "captured";
    case Pin::kPointerStored:
      return "pointer-stored";
    case Pin::kTexture:
      return "texture";
    case Pin::kSmall:
      return "small";
    case Pin::kIncompressible:
      return "incompressible";
    case Pin::kUnknownCall:
      return "unknown-call";
    case Pin::kMemOp:
      return "mem-op";
    case Pin::kPenalty:
      return "penalty";
    case Pin::kCount:
      break;
  }
  return "unknown";
}

uint64_t size_class(uint64_t bytes) {
  constexpr uint64_t kExact = uint64_t{16} << 20;
  uint64_t step = kPageBytes;
  // In [2^n, 2^(n+1)) eight steps of 2^(n-3).
  if (bytes > kExact) step = std::max(kPageBytes, uint64_t{1} << (63 - __builtin_clzll(bytes - 1) - 3));
  return (bytes + step - 1) / step * step;
}

}  // namespace loretoken
