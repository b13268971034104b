// The second door: cuGetProcAddress. Flags and version arguments are the driver's to interpret; its answer is replaced
// by identity, so that per-thread variants and versions meet their own hooks.
#include "hooks/hooks.h"
#include "loader/lookup.h"
#include "loader/unknown.h"
#include "runtime/runtime.h"

namespace loretoken {
namespace {

void replace(const char* symbol, void** function, int version) {
  if (symbol == nullptr || function == nullptr || *function == nullptr) return;
  const loader::Found found = loader::find_by_pointer(*function);
  if (found.hook != nullptr) {
    *function = found.hook;
  } else if (!found.known && loader::is_hooked_base(symbol)) {
    // A version of a hooked function that the table does not know.
    if (void* gate = loader::gate_for(*function, symbol, version)) {
      *function = gate;
    } else {
      Runtime::forbid_packing("unknown entry points");
    }
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
