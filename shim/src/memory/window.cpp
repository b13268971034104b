// Gets the window from the driver: the best address and size there is.
#include <algorithm>

#include "base/log.h"
#include "driver/driver.h"
#include "memory/page_table.h"

namespace loretoken {
namespace {

constexpr uint64_t kHint = 0x7C10'0000'0000;
// 0x7C10…0x7DEF as the third 16-bit word: NaN in fp16, above 10^36 in bf16.
constexpr uint64_t kWhole = uint64_t{0x1E0} * kRegionBytes;

bool reserve(uint64_t bytes, uint64_t hint, uint64_t* base) {
  CUdeviceptr at = 0;
  // An alignment of a region keeps the holes where small integers would point; not every driver takes it.
  for (const uint64_t alignment : {kRegionBytes, uint64_t{0}}) {
    if (driver().cuMemAddressReserve(&at, bytes, alignment, hint, 0) == CUDA_SUCCESS) {
      *base = at;
      return true;
    }
  }
  return false;
}

}  // namespace

bool ensure_window(uint64_t least_bytes) {
  if (window().bytes != 0) return true;
  uint64_t base = 0;
  for (uint64_t bytes = kWhole; bytes >= least_bytes && bytes >= 64 * kPageBytes;
       bytes = bytes / 2 / kPageBytes * kPageBytes) {
    const bool held = reserve(bytes, kHint, &base);
    if (!held) continue;
    if (base >> 40 != kHint >> 40) {
      log_info("addresses reserved at %#llx instead of %#llx: some numbers may look like pointers",
               static_cast<unsigned long long>(base), static_cast<unsigned long long>(kHint));
    }
    return install_window(base, bytes);
  }
  log_error("no range of %llu bytes of device addresses can be reserved", static_cast<unsigned long long>(least_bytes));
  return false;
}

}  // namespace loretoken
