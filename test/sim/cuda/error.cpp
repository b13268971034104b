// Names and texts of error codes.
#include <map>

#include "api.h"

using namespace loretoken::sim;

namespace {

struct Text {
  const char* name;
  const char* text;
};

const std::map<int, Text>& error_table() {
  static const auto* texts = new std::map<int, Text>{
#define SIM_ERROR(name, text) {name, {#name, text}},
#include "errors.inc"
#undef SIM_ERROR
  };
  return *texts;
}

}  // namespace

extern "C" {

CUresult cuGetErrorName(CUresult code, const char** out) {
  SIM_API(cuGetErrorName, kNothing);
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  auto it = error_table().find(code);
  *out = it == error_table().end() ? nullptr : it->second.name;
  return *out ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult code, const char** out) {
  SIM_API(cuGetErrorString, kNothing);
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  auto it = error_table().find(code);
  *out = it == error_table().end() ? nullptr : it->second.text;
  return *out ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

}  // extern "C"
