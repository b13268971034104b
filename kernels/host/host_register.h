// Puts kernels and globals of a host object into its module table; the macros are in loretoken/kernel.h's contract.
#ifndef LORETOKEN_HOST_REGISTER_H
#define LORETOKEN_HOST_REGISTER_H

#include <array>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

#include "host_fiber.h"

namespace loretoken::host {

// Called by static constructors of the host object, before anything can read the table.
void add_kernel(const LtHostKernel& kernel);
void add_global(const LtHostGlobal& global);

template <auto Function, bool Fibers>
struct Kernel;

template <class... Args, void (*Function)(Args...), bool Fibers>
struct Kernel<Function, Fibers> {
  using Values = std::tuple<std::remove_cvref_t<Args>...>;

  // CUDA's layout: each parameter at the next multiple of its alignment.
  static constexpr std::array<LtHostParam, sizeof...(Args) + 1> layout() {
    std::array<LtHostParam, sizeof...(Args) + 1> params{};
    [[maybe_unused]] uint32_t offset = 0;
    [[maybe_unused]] std::size_t i = 0;
    ((offset = (offset + alignof(std::remove_cvref_t<Args>) - 1) / alignof(std::remove_cvref_t<Args>) *
               alignof(std::remove_cvref_t<Args>),
      params[i++] = {offset, sizeof(std::remove_cvref_t<Args>)}, offset += sizeof(std::remove_cvref_t<Args>)),
     ...);
    return params;
  }
  static constexpr std::array<LtHostParam, sizeof...(Args) + 1> kParams = layout();

  template <std::size_t... I>
  static void copy_values(Values& values, void* const* params, std::index_sequence<I...>) {
    (std::memcpy(static_cast<void*>(&std::get<I>(values)), params[I], sizeof(std::get<I>(values))), ...);
  }

  static void run(const LtHostLaunch* launch) {
    static_assert((std::is_trivially_copyable_v<std::remove_cvref_t<Args>> && ...));
    Values values;
    copy_values(values, launch->params, std::index_sequence_for<Args...>{});
    auto body = [](void* argument) {
      std::apply([](const auto&... args) { Function(args...); }, *static_cast<const Values*>(argument));
    };
    (Fibers ? run_with_fibers : run_plain)(*launch, body, &values);
  }

  explicit Kernel(const char* name) { add_kernel({name, sizeof...(Args), kParams.data(), &run, 0}); }
};

struct Global {
  Global(const char* name, void* address, uint64_t size) { add_global({name, address, size}); }
};

}  // namespace loretoken::host

#define LT_HOST_KERNEL(name, fibers, ...)                                           \
  static void name(__VA_ARGS__);                                                    \
  static const ::loretoken::host::Kernel<&name, fibers> lt_kernel_of_##name{#name}; \
  static void name(__VA_ARGS__)

#define LT_KERNEL(name, ...) LT_HOST_KERNEL(name, true, __VA_ARGS__)
#define LT_KERNEL_BOUNDS(name, threads, blocks, ...) LT_HOST_KERNEL(name, true, __VA_ARGS__)
#define LT_KERNEL_PLAIN(name, ...) LT_HOST_KERNEL(name, false, __VA_ARGS__)
#define LT_NOINLINE static __attribute__((noinline))
#define LT_PARAM(type) const type&
#define LT_GLOBAL(type, name)                                  \
  static type name;                                            \
  static const ::loretoken::host::Global lt_global_of_##name { \
#name, &name, sizeof(name)                                 \
  }
#define LT_DYNAMIC_SHARED(type, name) \
  type* const name = static_cast<type*>(::loretoken::host::current_thread->block->dynamic_shared)

#endif  // LORETOKEN_HOST_REGISTER_H
