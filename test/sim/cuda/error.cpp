// Names and texts of error codes.
#include <cctype>
#include <map>
#include <string>

#include "api.h"

using namespace loretoken::sim;

namespace {

struct Text {
  const char* name;
  std::string text;
};

// The driver's wording where programs print or match it; the name's words otherwise.
const std::map<int, const char*>& wordings() {
  static const auto* texts = new std::map<int, const char*>{
      {CUDA_SUCCESS, "no error"},
      {CUDA_ERROR_INVALID_VALUE, "invalid argument"},
      {CUDA_ERROR_NOT_INITIALIZED, "initialization error"},
      {CUDA_ERROR_DEINITIALIZED, "driver shutting down"},
      {CUDA_ERROR_NO_DEVICE, "no CUDA-capable device is detected"},
      {CUDA_ERROR_INVALID_DEVICE, "invalid device ordinal"},
      {CUDA_ERROR_INVALID_IMAGE, "device kernel image is invalid"},
      {CUDA_ERROR_INVALID_CONTEXT, "invalid device context"},
      {CUDA_ERROR_NO_BINARY_FOR_GPU, "no kernel image is available for execution on the device"},
      {CUDA_ERROR_INVALID_HANDLE, "invalid resource handle"},
      {CUDA_ERROR_ILLEGAL_STATE, "the operation cannot be performed in the present state"},
      {CUDA_ERROR_NOT_FOUND, "named symbol not found"},
      {CUDA_ERROR_NOT_READY, "device not ready"},
      {CUDA_ERROR_ILLEGAL_ADDRESS, "an illegal memory access was encountered"},
      {CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "too many resources requested for launch"},
      {CUDA_ERROR_LAUNCH_FAILED, "unspecified launch failure"},
      {CUDA_ERROR_NOT_PERMITTED, "operation not permitted"},
      {CUDA_ERROR_NOT_SUPPORTED, "operation not supported"},
      {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "operation not permitted when stream is capturing"},
      {CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "operation failed due to a previous error during capture"},
      {CUDA_ERROR_STREAM_CAPTURE_MERGE, "operation would result in a merge of separate capture sequences"},
      {CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "capture was not ended in the same stream as it began"},
      {CUDA_ERROR_STREAM_CAPTURE_UNJOINED, "capturing stream has unjoined work"},
      {CUDA_ERROR_STREAM_CAPTURE_ISOLATION, "dependency created on uncaptured work in another stream"},
      {CUDA_ERROR_STREAM_CAPTURE_IMPLICIT,
       "operation would make the legacy stream depend on a capturing blocking stream"},
      {CUDA_ERROR_CAPTURED_EVENT, "operation not permitted on an event last recorded in a capturing stream"},
      {CUDA_ERROR_UNKNOWN, "unknown error"},
  };
  return *texts;
}

std::string words(std::string name) {
  const std::string prefix = "CUDA_ERROR_";
  if (name.rfind(prefix, 0) == 0) name.erase(0, prefix.size());
  for (char& c : name) c = c == '_' ? ' ' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

const std::map<int, Text>& table() {
  static const auto* texts = [] {
    auto* map = new std::map<int, Text>;
#define SIM_ERROR(name) (*map)[name] = {#name, words(#name)};
#include "errors.inc"
#undef SIM_ERROR
    for (auto& [code, text] : wordings()) (*map)[code].text = text;
    return map;
  }();
  return *texts;
}

}  // namespace

extern "C" {

CUresult cuGetErrorName(CUresult code, const char** out) {
  SIM_API(cuGetErrorName, kNothing);
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  auto it = table().find(code);
  *out = it == table().end() ? nullptr : it->second.name;
  return *out ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult code, const char** out) {
  SIM_API(cuGetErrorString, kNothing);
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  auto it = table().find(code);
  *out = it == table().end() ? nullptr : it->second.text.c_str();
  return *out ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

}  // extern "C"
