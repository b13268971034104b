// Parameters of the pointer scan; shared with the host side.
#ifndef LORETOKEN_DEVICE_SCAN_PARAMS_H
#define LORETOKEN_DEVICE_SCAN_PARAMS_H

#include "loretoken/codec_layout.h"

namespace loretoken {

constexpr uint32_t kScanThreads = 512;
constexpr uint32_t kScanChunkWords = 16384;
constexpr uint32_t kScanRangesPerLaunch = 64;

struct ScanParams {
  uint32_t range_count, window_count, epoch, last_launch;
  uint64_t table, list;
  uint32_t table_slots, list_capacity;
  uint32_t high_first, high_span;  // upper halves of all windows' addresses: first, last - first
  ScanWindow windows[kScanWindows];
  uint32_t first_chunk[kScanRangesPerLaunch];  // ~0 past range_count
  ScanRange ranges[kScanRangesPerLaunch];
};
static_assert(sizeof(ScanParams) <= 4096);

}  // namespace loretoken

#endif  // LORETOKEN_DEVICE_SCAN_PARAMS_H
