// What the parts of the simulated libnvidia-ml.so.1 share. Every exported function follows NVML's order of checks:
// initialised, then arguments, then the answer.
#ifndef LORETOKEN_SIM_NVML_LIBRARY_H
#define LORETOKEN_SIM_NVML_LIBRARY_H

#include <cstdint>
#include <string>

#include "board.h"
#include "inject.h"
#include "nvml_api.h"

#define NVML_EXPORT extern "C" __attribute__((visibility("default")))

namespace loretoken::sim::nvml {

bool initialised();

// The index of a device handle, or -1.
int index_of(nvmlDevice_t device);
nvmlDevice_t handle_of(int index);
const board::Card& card_of(nvmlDevice_t device);  // only for valid handles

// NVML_SUCCESS, or why the call cannot go on.
nvmlReturn_t check(nvmlDevice_t device);
template <class... Outputs>
nvmlReturn_t check(nvmlDevice_t device, const Outputs*... outputs) {
  const nvmlReturn_t status = check(device);
  if (status != NVML_SUCCESS) return status;
  return ((outputs != nullptr) && ...) ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
}

// Copies a text with its end; INSUFFICIENT_SIZE when it does not fit.
nvmlReturn_t give_text(const std::string& text, char* out, unsigned length);

template <class T>
nvmlReturn_t give(nvmlDevice_t device, T* out, T value) {
  const nvmlReturn_t status = check(device, out);
  if (status == NVML_SUCCESS) *out = value;
  return status;
}

}  // namespace loretoken::sim::nvml

#endif  // LORETOKEN_SIM_NVML_LIBRARY_H
