// The second door: cuGetProcAddress. Flags and version arguments are the driver's to interpret; its answer is replaced
// by identity, so that per-thread variants and versions meet their own hooks.
#include <atomic>
#include <cstring>

#include "base/log.h"
#include "hooks/hooks.h"
#include "loader/lookup.h"
#include "runtime/runtime.h"

namespace loretoken {
namespace {

// A version of a hooked function that the table does not know: the program gets it, and nothing is packed any more.
void met_unknown(const char* symbol, int version) {
  static std::atomic<bool> said{false};
  if (said.exchange(true, std::memory_order_relaxed)) return;
  log_warn(
      "the driver offers %s for CUDA %d.%d, which is newer than this libloretoken.so; nothing is packed from here on",
      symbol, version / 1000, version % 1000 / 10);
  char cause[64];
  snprintf(cause, sizeof cause, "unknown entry point %s", symbol);
  Runtime::forbid_packing(cause);
}

void replace(const char* symbol, void** function, int version) {
  if (symbol == nullptr || function == nullptr || *function == nullptr) return;
  const loader::Found found = loader::find_by_pointer(*function);
  if (found.hook != nullptr) {
    *function = found.hook;
  } else if (!found.known && loader::is_hooked_base(symbol)) {
    met_unknown(symbol, version);
  }
}

}  // namespace

namespace hooks {

CUresult cuGetProcAddress(const char* symbol, void** function, int version, cuuint64_t flags) {
  const CUresult result = driver().cuGetProcAddress(symbol, function, version, flags);
  if (result == CUDA_SUCCESS) replace(symbol, function, version);
  return result;
}

CUresult cuGetProcAddress_v2(const char* symbol, void** function, int version, cuuint64_t flags,
                             CUdriverProcAddressQueryResult* status) {
  const CUresult result = driver().cuGetProcAddress_v2(symbol, function, version, flags, status);
  if (result == CUDA_SUCCESS) replace(symbol, function, version);
  return result;
}

}  // namespace hooks
}  // namespace loretoken
