// cuGetProcAddress: names, versions and flags to addresses.
#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "api.h"
#include "board.h"

// cudaProfiler.h is not part of every toolkit package.
extern "C" CUresult cuProfilerStart(void);
extern "C" CUresult cuProfilerStop(void);

using namespace loretoken::sim;

extern "C" CUresult cuGetProcAddress_v2_ptsz(const char* symbol, void** out, int version, cuuint64_t flags,
                                             CUdriverProcAddressQueryResult* status);

namespace {

struct Row {
  const char* name;
  int version;  // the first CUDA version that has this form
  bool per_thread;
  void* address;
};

const std::map<std::string, std::vector<Row>>& table() {
  static const auto* built = [] {
    static const Row rows[] = {
#include "procs.inc"
    };
    auto* map = new std::map<std::string, std::vector<Row>>;
    for (const Row& row : rows) (*map)[row.name].push_back(row);
    return map;
  }();
  return *built;
}

// The newest form that is not newer than the version. A name that has per-thread forms gives no other to who asks for
// them. A negative version is none.
const Row* newest(const std::vector<Row>& rows, int version, bool per_thread) {
  const bool has_form = std::ranges::any_of(rows, [&](const Row& row) { return row.per_thread == per_thread; });
  const Row* best = nullptr;
  for (const Row& row : rows)
    if ((row.per_thread == per_thread || !has_form) && (version < 0 || row.version <= version) &&
        (!best || row.version >= best->version))
      best = &row;
  return best;
}

// What is not found is no error but a null address; the older entry point, which has no status to say so, refuses.
CUresult look_up(const char* symbol, void** out, int version, cuuint64_t flags, CUdriverProcAddressQueryResult* status,
                 bool per_thread_caller) {
  constexpr cuuint64_t kFlags = CU_GET_PROC_ADDRESS_LEGACY_STREAM | CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
  if (!symbol || !out || (flags & ~kFlags) || version > board::kDriverVersion) return CUDA_ERROR_INVALID_VALUE;
  const bool per_thread = flags ? flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM : per_thread_caller;
  const auto it = table().find(symbol);
  const bool known = it != table().end();
  const Row* row = known ? newest(it->second, version, per_thread) : nullptr;
  *out = row ? row->address : nullptr;
  if (status)
    *status = row     ? CU_GET_PROC_ADDRESS_SUCCESS
              : known ? CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT
                      : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
  return CUDA_SUCCESS;
}

}  // namespace

extern "C" {

CUresult cuGetProcAddress_v2(const char* symbol, void** out, int version, cuuint64_t flags,
                             CUdriverProcAddressQueryResult* status) {
  SIM_API(cuGetProcAddress_v2, kNothing);
  return look_up(symbol, out, version, flags, status, false);
}

CUresult cuGetProcAddress_v2_ptsz(const char* symbol, void** out, int version, cuuint64_t flags,
                                  CUdriverProcAddressQueryResult* status) {
  SIM_API(cuGetProcAddress_v2_ptsz, kNothing);
  return look_up(symbol, out, version, flags, status, true);
}

CUresult cuGetProcAddress(const char* symbol, void** out, int version, cuuint64_t flags) {
  SIM_API(cuGetProcAddress, kNothing);
  const CUresult result = look_up(symbol, out, version, flags, nullptr, false);
  return result == CUDA_SUCCESS && !*out ? CUDA_ERROR_NOT_FOUND : result;
}

CUresult cuGetExportTable(const void** out, const CUuuid*) {
  SIM_API(cuGetExportTable, kNothing);
  if (out) *out = nullptr;
  return CUDA_ERROR_NOT_FOUND;
}

}  // extern "C"
