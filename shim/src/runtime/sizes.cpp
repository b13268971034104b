#include "runtime/sizes.h"

#include <string.h>

#include <algorithm>

#include "base/log.h"
#include "driver/driver.h"
#include "guard/guard.h"

namespace loretoken {
namespace {

constexpr uint64_t kStep = uint64_t{2} << 20;
constexpr uint64_t kLargestReserve = uint64_t{1} << 30;

uint64_t round_down(uint64_t bytes) {
  return bytes / kStep * kStep;
}

}  // namespace

DeviceSizes plan_sizes(uint64_t total, uint64_t free, const Settings& settings) {
  DeviceSizes sizes;
  sizes.total = total;
  const uint64_t reserve = std::min(total / 100 * 3, kLargestReserve);
  sizes.limit = free > reserve ? free - reserve : 0;
  if (settings.limit.given) {
    sizes.limit = settings.limit.of(total);
    if (sizes.limit > total) {
      log_warn("LORETOKEN_LIMIT asks for %s, the card has %s; using that", format_bytes(sizes.limit).c_str(),
               format_bytes(total).c_str());
      sizes.limit = total;
    }
  }
  sizes.limit = std::max(round_down(sizes.limit), kStep);
  sizes.virtual_size = std::max(round_down(settings.virtual_size.of(sizes.limit)), kStep);
  return sizes;
}

bool device_sizes(CUdevice device, Guard& guard, DeviceSizes* sizes, bool* final) {
  size_t total = 0;
  if (driver().cuDeviceTotalMem_v2 == nullptr || driver().cuDeviceTotalMem_v2(&total, device) != CUDA_SUCCESS)
    return false;
  size_t free = total;
  CUdevice current = 0;
  *final = driver().cuCtxGetDevice(&current) == CUDA_SUCCESS && current == device;
  if (*final) {
    size_t visible = 0;
    if (driver().cuMemGetInfo_v2(&free, &visible) != CUDA_SUCCESS) return false;
  }
  CUuuid uuid{};
  if (driver().cuDeviceGetUuid == nullptr || driver().cuDeviceGetUuid(&uuid, device) != CUDA_SUCCESS) uuid = {};
  uint64_t limit = 0;
  uint64_t virtual_size = 0;
  int index = -1;
  guard.stated_sizes(reinterpret_cast<const uint8_t*>(uuid.bytes), &limit, &virtual_size, &index);
  Settings stated = settings();
  if (limit != 0) stated.limit = {.bytes = limit, .given = true};
  if (virtual_size != 0) stated.virtual_size = {.bytes = virtual_size, .given = true};
  *sizes = plan_sizes(total, free, stated);
  memcpy(sizes->uuid, uuid.bytes, sizeof sizes->uuid);
  sizes->control_index = index;
  return true;
}

}  // namespace loretoken
