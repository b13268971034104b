// CUDA's device functions for g++: barriers, warp collectives, bit operations, conversions, fast math.
#ifndef LORETOKEN_HOST_INTRINSICS_H
#define LORETOKEN_HOST_INTRINSICS_H

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "host_atomics.h"
#include "host_fiber.h"

using std::max;
using std::min;

// --- block and memory ---
inline void __syncthreads() {
  ::loretoken::host::block_barrier(false);
}
inline int __syncthreads_count(int p) {
  return static_cast<int>(::loretoken::host::block_barrier(p != 0).count);
}
inline int __syncthreads_or(int p) {
  return ::loretoken::host::block_barrier(p != 0).count != 0;
}
inline int __syncthreads_and(int p) {
  const auto votes = ::loretoken::host::block_barrier(p != 0);
  return votes.count == votes.arrived;
}
inline void __threadfence() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
}
inline void __threadfence_block() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
}
inline void __threadfence_system() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
}
inline void __nanosleep(unsigned) {}
template <class T>
T __ldg(const T* p) {
  return *p;
}
template <class T>
T __ldcg(const T* p) {
  return *p;
}
template <class T>
T __ldcs(const T* p) {
  return *p;
}
template <class T>
void __stcg(T* p, T v) {
  *p = v;
}
template <class T>
void __stcs(T* p, T v) {
  *p = v;
}

// --- warp ---
namespace loretoken::host {

template <class T>
uint64_t to_slot(T value) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
  uint64_t slot = 0;
  std::memcpy(&slot, &value, sizeof(T));
  return slot;
}
template <class T>
T from_slot(uint64_t slot) {
  T value;
  std::memcpy(&value, &slot, sizeof(T));
  return value;
}
// Reading a lane outside the mask gives the reader's own value (a GPU leaves it undefined).
template <class T>
T shuffle(unsigned mask, T value, int source) {
  const Collective& c = warp_exchange(mask, to_slot(value));
  return c.arrived >> (source & 31) & 1 ? from_slot<T>(c.values[source & 31]) : value;
}
// The first reader combines the values, in order of lanes, for all.
template <class T, class Op>
T reduce(unsigned mask, T value, Op op) {
  Collective& c = warp_exchange(mask, to_slot(value));
  if (!c.combined) {
    unsigned left = c.arrived;
    T result = from_slot<T>(c.values[std::countr_zero(left)]);
    while (left &= left - 1) result = op(result, from_slot<T>(c.values[std::countr_zero(left)]));
    c.result = to_slot(result);
    c.combined = true;
  }
  return from_slot<T>(c.result);
}
// The sum of the values of lower lanes.
template <class T>
T exclusive_sum(unsigned mask, T value) {
  Collective& c = warp_exchange(mask, to_slot(value));
  if (!c.combined) {
    T sum{};
    for (unsigned left = c.arrived; left; left &= left - 1) {
      uint64_t& slot = c.values[std::countr_zero(left)];
      const T own = from_slot<T>(slot);
      slot = to_slot(sum);
      sum += own;
    }
    c.combined = true;
  }
  return from_slot<T>(c.values[current_thread->lane]);
}
inline int segment_end(int width) {
  return static_cast<int>(current_thread->lane) / width * width + width;
}

}  // namespace loretoken::host

inline void __syncwarp(unsigned mask = ~0u) {
  ::loretoken::host::warp_exchange(mask, 0);
}
inline unsigned __activemask() {
  return ::loretoken::host::live_lanes();
}
template <class T>
T __shfl_sync(unsigned mask, T v, int source, int width = 32) {
  return ::loretoken::host::shuffle(mask, v, ::loretoken::host::segment_end(width) - width + (source & (width - 1)));
}
template <class T>
T __shfl_xor_sync(unsigned mask, T v, int lanes, int width = 32) {
  const int own = static_cast<int>(::loretoken::host::current_thread->lane), source = own ^ lanes;
  return ::loretoken::host::shuffle(mask, v, source < ::loretoken::host::segment_end(width) ? source : own);
}
template <class T>
T __shfl_up_sync(unsigned mask, T v, unsigned delta, int width = 32) {
  const int own = static_cast<int>(::loretoken::host::current_thread->lane), source = own - static_cast<int>(delta);
  return ::loretoken::host::shuffle(mask, v, source >= ::loretoken::host::segment_end(width) - width ? source : own);
}
template <class T>
T __shfl_down_sync(unsigned mask, T v, unsigned delta, int width = 32) {
  const int own = static_cast<int>(::loretoken::host::current_thread->lane), source = own + static_cast<int>(delta);
  return ::loretoken::host::shuffle(mask, v, source < ::loretoken::host::segment_end(width) ? source : own);
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  const unsigned own = static_cast<unsigned>(predicate != 0) << ::loretoken::host::current_thread->lane;
  return ::loretoken::host::reduce(mask, own, [](unsigned a, unsigned b) { return a | b; });
}
inline int __any_sync(unsigned mask, int predicate) {
  return __ballot_sync(mask, predicate) != 0;
}
inline int __all_sync(unsigned mask, int predicate) {
  return __ballot_sync(mask, !predicate) == 0;
}
template <class T>
unsigned __match_any_sync(unsigned mask, T v) {
  auto& c = ::loretoken::host::warp_exchange(mask, ::loretoken::host::to_slot(v));
  if (!c.combined) {
    for (unsigned left = c.arrived; left;) {
      const uint64_t value = c.values[std::countr_zero(left)];
      unsigned equal = 0;
      for (unsigned rest = left; rest; rest &= rest - 1)
        equal |= static_cast<unsigned>(c.values[std::countr_zero(rest)] == value) << std::countr_zero(rest);
      left &= ~equal;
      for (unsigned rest = equal; rest; rest &= rest - 1) c.values[std::countr_zero(rest)] = equal;
    }
    c.combined = true;
  }
  return static_cast<unsigned>(c.values[::loretoken::host::current_thread->lane]);
}
#define LT_HOST_REDUCE(name, type, expression)                                                    \
  inline type name(unsigned mask, type v) {                                                       \
    return ::loretoken::host::reduce(mask, v, [](type a, type b) -> type { return expression; }); \
  }
LT_HOST_REDUCE(__reduce_add_sync, unsigned, a + b)
LT_HOST_REDUCE(__reduce_min_sync, unsigned, a < b ? a : b)
LT_HOST_REDUCE(__reduce_max_sync, unsigned, a > b ? a : b)
LT_HOST_REDUCE(__reduce_and_sync, unsigned, a& b)
LT_HOST_REDUCE(__reduce_or_sync, unsigned, a | b)
LT_HOST_REDUCE(__reduce_xor_sync, unsigned, a ^ b)
LT_HOST_REDUCE(__reduce_add_sync, int, a + b)
LT_HOST_REDUCE(__reduce_min_sync, int, a < b ? a : b)
LT_HOST_REDUCE(__reduce_max_sync, int, a > b ? a : b)
#undef LT_HOST_REDUCE

// --- bits ---
inline int __popc(unsigned v) {
  return std::popcount(v);
}
inline int __popcll(unsigned long long v) {
  return std::popcount(v);
}
inline int __clz(int v) {
  return std::countl_zero(static_cast<unsigned>(v));
}
inline int __clzll(long long v) {
  return std::countl_zero(static_cast<unsigned long long>(v));
}
inline int __ffs(int v) {
  return __builtin_ffs(v);
}
inline int __ffsll(long long v) {
  return __builtin_ffsll(v);
}
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>(static_cast<uint64_t>(a) * b >> 32);
}
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned long long>(static_cast<unsigned __int128>(a) * b >> 64);
}
inline unsigned __brev(unsigned v) {
  v = (v >> 1 & 0x55555555u) | (v & 0x55555555u) << 1;
  v = (v >> 2 & 0x33333333u) | (v & 0x33333333u) << 2;
  v = (v >> 4 & 0x0F0F0F0Fu) | (v & 0x0F0F0F0Fu) << 4;
  return __builtin_bswap32(v);
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>((static_cast<uint64_t>(high) << 32 | low) << (shift & 31) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>((static_cast<uint64_t>(high) << 32 | low) >> (shift & 31));
}
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
  const uint64_t bytes = static_cast<uint64_t>(b) << 32 | a;
  unsigned out = 0;
  for (int i = 0; i < 4; ++i) out |= static_cast<unsigned>(bytes >> (selector >> 4 * i & 7) * 8 & 0xFF) << 8 * i;
  return out;
}

// --- conversions and math ---
inline float __uint_as_float(unsigned v) {
  return std::bit_cast<float>(v);
}
inline unsigned __float_as_uint(float v) {
  return std::bit_cast<unsigned>(v);
}
inline float __int_as_float(int v) {
  return std::bit_cast<float>(v);
}
inline int __float_as_int(float v) {
  return std::bit_cast<int>(v);
}
inline double __longlong_as_double(long long v) {
  return std::bit_cast<double>(v);
}
inline long long __double_as_longlong(double v) {
  return std::bit_cast<long long>(v);
}
inline int __float2int_rn(float v) {
  return static_cast<int>(std::nearbyint(v));
}
inline int __float2int_rd(float v) {
  return static_cast<int>(std::floor(v));
}
inline float __fmaf_rn(float a, float b, float c) {
  return std::fma(a, b, c);
}
inline float __fadd_rn(float a, float b) {
  return a + b;
}
inline float __fmul_rn(float a, float b) {
  return a * b;
}
inline float __fdividef(float a, float b) {
  return a / b;
}
inline float __expf(float v) {
  return std::exp(v);
}
inline float __logf(float v) {
  return std::log(v);
}
inline float __log2f(float v) {
  return std::log2(v);
}
inline float rsqrtf(float v) {
  return 1.0f / std::sqrt(v);
}

#endif  // LORETOKEN_HOST_INTRINSICS_H
