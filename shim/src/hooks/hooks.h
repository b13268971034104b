// Declarations of every hook, made from the table.
//
// The exported symbol is generated (loader/entry.h). It calls the real function at once when the call comes from inside
// the shim (or from the driver underneath a hook), holds the depth guard while the hook runs, and catches what the hook
// throws. A hook therefore only asks Runtime::get() for nullptr and calls driver().<symbol>.
//
//   HOOK(cuMemAlloc_v2, …)                        CUresult hooks::cuMemAlloc_v2(CUdeviceptr*, size_t)
//   HOOK_PT(cuMemcpyAsync, cuMemcpyAsync_ptsz, …) CUresult hooks::cuMemcpyAsync(…, CUstream, bool per_thread)
//     the real function is LORETOKEN_REAL_PT(cuMemcpyAsync, cuMemcpyAsync_ptsz, per_thread)
#pragma once

#include "driver/driver.h"
#include "driver/nvml_types.h"

namespace loretoken::hooks {

template <class F>
struct WithPerThread;
template <class R, class... A>
struct WithPerThread<R(A...)> {
  using Type = R(A..., bool);
};

#define HOOK(symbol, kind, what) decltype(::symbol) symbol;
#define HOOK_PT(symbol, variant, kind, what) WithPerThread<decltype(::symbol)>::Type symbol;
#define NVML_HOOK(symbol, kind, what) decltype(::symbol) symbol;
#include "hooks/table.def"

}  // namespace loretoken::hooks

#define LORETOKEN_REAL_PT(symbol, variant, per_thread) \
  ((per_thread) ? ::loretoken::driver().variant : ::loretoken::driver().symbol)
