// CUDA's atomics for g++: relaxed, of system scope whatever the name says (several simulated streams are several
// threads).
#ifndef LORETOKEN_HOST_ATOMICS_H
#define LORETOKEN_HOST_ATOMICS_H

#include <atomic>
#include <type_traits>

namespace loretoken::host {
template <class T, class Op>
T atomic_update(T* p, Op op) {
  std::atomic_ref<T> ref(*p);
  T old = ref.load(std::memory_order_relaxed);
  while (!ref.compare_exchange_weak(old, op(old), std::memory_order_relaxed)) {
  }
  return old;
}
}  // namespace loretoken::host

#define LT_HOST_ATOMIC(suffix)                                                                                    \
  template <class T>                                                                                              \
  T atomicAdd##suffix(T* p, std::type_identity_t<T> v) {                                                          \
    return std::atomic_ref<T>(*p).fetch_add(v, std::memory_order_relaxed);                                        \
  }                                                                                                               \
  template <class T>                                                                                              \
  T atomicSub##suffix(T* p, std::type_identity_t<T> v) {                                                          \
    return std::atomic_ref<T>(*p).fetch_sub(v, std::memory_order_relaxed);                                        \
  }                                                                                                               \
  template <class T>                                                                                              \
  T atomicOr##suffix(T* p, std::type_identity_t<T> v) {                                                           \
    return std::atomic_ref<T>(*p).fetch_or(v, std::memory_order_relaxed);                                         \
  }                                                                                                               \
  template <class T>                                                                                              \
  T atomicAnd##suffix(T* p, std::type_identity_t<T> v) {                                                          \
    return std::atomic_ref<T>(*p).fetch_and(v, std::memory_order_relaxed);                                        \
  }                                                                                                               \
  template <class T>                                                                                              \
  T atomicXor##suffix(T* p, std::type_identity_t<T> v) {                                                          \
    return std::atomic_ref<T>(*p).fetch_xor(v, std::memory_order_relaxed);                                        \
  }                                                                                                               \
  template <class T>                                                                                              \
  T atomicExch##suffix(T* p, std::type_identity_t<T> v) {                                                         \
    return std::atomic_ref<T>(*p).exchange(v, std::memory_order_relaxed);                                         \
  }                                                                                                               \
  template <class T>                                                                                              \
  T atomicMin##suffix(T* p, std::type_identity_t<T> v) {                                                          \
    return ::loretoken::host::atomic_update(p, [v](T old) { return v < old ? v : old; });                         \
  }                                                                                                               \
  template <class T>                                                                                              \
  T atomicMax##suffix(T* p, std::type_identity_t<T> v) {                                                          \
    return ::loretoken::host::atomic_update(p, [v](T old) { return old < v ? v : old; });                         \
  }                                                                                                               \
  template <class T>                                                                                              \
  T atomicInc##suffix(T* p, std::type_identity_t<T> v) {                                                          \
    return ::loretoken::host::atomic_update(p, [v](T old) { return old >= v ? T{0} : static_cast<T>(old + 1); }); \
  }                                                                                                               \
  template <class T>                                                                                              \
  T atomicCAS##suffix(T* p, std::type_identity_t<T> expected, std::type_identity_t<T> v) {                        \
    std::atomic_ref<T>(*p).compare_exchange_strong(expected, v, std::memory_order_relaxed);                       \
    return expected;                                                                                              \
  }
LT_HOST_ATOMIC()
LT_HOST_ATOMIC(_system)
LT_HOST_ATOMIC(_block)
#undef LT_HOST_ATOMIC

#endif  // LORETOKEN_HOST_ATOMICS_H
