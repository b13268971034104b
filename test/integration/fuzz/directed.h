// What the scenarios of lt_directed have in common: one device, buffers of one size, and a count of failed calls.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <vector>

#include "driver_calls.h"

namespace directed {

inline constexpr uint32_t kWords = 400000;  // of a buffer: 1.6 MB, several share a unit, none is small

inline fuzz::Driver cu;
inline CUmodule module;
inline int failures = 0;

int number_of(const char* variable, int fallback);
// Buffers that press out what lies there: 60, three times the physical limit of most tests; others say LT_FILLERS.
int fillers();

// Prints and counts what failed.
void check(CUresult result, const char* what);

void launch(const char* kernel, CUstream stream, std::vector<void*> params);
void fill(CUdeviceptr at, CUstream stream, uint32_t seed, uint32_t kind);
CUdeviceptr allocate();
void print_hash(CUdeviceptr at);
void press(CUstream stream, uint32_t kind = 2);

// directed_damage.cpp
void damaged(CUstream stream, uint32_t kind, uint32_t filler_kind);
void damaged_kept(CUstream stream);
void unpack_refused(CUstream stream);

}  // namespace directed
