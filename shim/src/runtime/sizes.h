// What a device is limited to and what the program is told, from the settings and the card.
#pragma once

#include <cuda.h>

#include <cstdint>

#include "base/settings.h"

namespace loretoken {

class Guard;

struct DeviceSizes {
  uint64_t total = 0;         // bytes of the card
  uint64_t limit = 0;         // physical bytes this process group may hold, multiple of 2 MiB
  uint64_t virtual_size = 0;  // bytes the program is told, multiple of 2 MiB
  uint8_t uuid[16] = {};      // of the device; zero: the driver does not say
  int control_index = -1;     // of the device in the control file; -1: not there
};

// Pure: from the card's figures and the settings. Without a limit: `free` less a reserve for contexts, code and
// workspaces (3 % of the card, at most 1 GiB). A limit above the card is cut to it, with a warning.
DeviceSizes plan_sizes(uint64_t total, uint64_t free, const Settings& settings);

// The same for a device; what the control file states goes before the settings. Without a current context on it (*final
// = false) the card's total stands for what is free. False: the driver does not answer.
bool device_sizes(CUdevice device, Guard& guard, DeviceSizes* sizes, bool* final);

}  // namespace loretoken
