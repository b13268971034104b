// CUDA's vector types, qualifiers and dim3 for g++.
#ifndef LORETOKEN_HOST_TYPES_H
#define LORETOKEN_HOST_TYPES_H

#include <cstddef>
#include <cstdint>

#define __device__
#define __host__
#define __global__
#define __forceinline__ inline __attribute__((always_inline))
#define __constant__ static
#define __align__(n) alignas(n)
#define __launch_bounds__(...)
#define __grid_constant__
// All threads of a block run on one host thread, so thread-local storage is exactly the lifetime of shared memory.
#define __shared__ static thread_local

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned vx = 1, unsigned vy = 1, unsigned vz = 1) : x(vx), y(vy), z(vz) {}
};
struct uint3 {
  unsigned x, y, z;
};

#define LT_HOST_VECTOR(T, name)                                     \
  struct alignas(2 * sizeof(T)) name##2 {                           \
    T x, y;                                                         \
  };                                                                \
  struct alignas(4 * sizeof(T) > 16 ? 16 : 4 * sizeof(T)) name##4 { \
    T x, y, z, w;                                                   \
  };                                                                \
  constexpr name##2 make_##name##2(T x, T y) {                      \
    return {x, y};                                                  \
  }                                                                 \
  constexpr name##4 make_##name##4(T x, T y, T z, T w) {            \
    return {x, y, z, w};                                            \
  }

LT_HOST_VECTOR(signed char, char)
LT_HOST_VECTOR(unsigned char, uchar)
LT_HOST_VECTOR(short, short)
LT_HOST_VECTOR(unsigned short, ushort)
LT_HOST_VECTOR(int, int)
LT_HOST_VECTOR(unsigned, uint)
LT_HOST_VECTOR(long long, longlong)
LT_HOST_VECTOR(unsigned long long, ulonglong)
LT_HOST_VECTOR(float, float)
LT_HOST_VECTOR(double, double)
#undef LT_HOST_VECTOR

constexpr uint3 make_uint3(unsigned x, unsigned y, unsigned z) {
  return {x, y, z};
}

#endif  // LORETOKEN_HOST_TYPES_H
