// cuGetProcAddress: names, versions and flags to addresses.
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "api.h"

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

// The newest form of the asked kind that is not newer than the version.
const Row* newest(const std::vector<Row>& rows, int version, bool per_thread) {
  const Row* best = nullptr;
  for (const Row& row : rows)
    if (row.per_thread == per_thread && row.version <= version && (!best || row.version >= best->version)) best = &row;
  return best;
}

CUresult look_up(const char* symbol, void** out, int version, cuuint64_t flags, CUdriverProcAddressQueryResult* status,
                 bool per_thread_caller) {
  if (!symbol || !out || flags > CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM + CU_GET_PROC_ADDRESS_LEGACY_STREAM)
    return CUDA_ERROR_INVALID_VALUE;
  if (flags == (CU_GET_PROC_ADDRESS_LEGACY_STREAM | CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM))
    return CUDA_ERROR_INVALID_VALUE;
  *out = nullptr;
  auto it = table().find(symbol);
  if (it == table().end()) {
    if (status) *status = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    return CUDA_ERROR_NOT_FOUND;
  }
  const bool per_thread = flags ? flags == CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM : per_thread_caller;
  const Row* row = per_thread ? newest(it->second, version, true) : nullptr;
  if (!row) row = newest(it->second, version, false);
  if (!row) {
    if (status) *status = CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT;
    return CUDA_ERROR_NOT_FOUND;
  }
  *out = row->address;
  if (status) *status = CU_GET_PROC_ADDRESS_SUCCESS;
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
  return look_up(symbol, out, version, flags, nullptr, false);
}

CUresult cuGetExportTable(const void** out, const CUuuid*) {
  SIM_API(cuGetExportTable, kNothing);
  if (out) *out = nullptr;
  return CUDA_ERROR_NOT_FOUND;
}

}  // extern "C"
