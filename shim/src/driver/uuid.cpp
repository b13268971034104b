#include "driver/uuid.h"

#include <stdio.h>
#include <string.h>

#include "driver/driver.h"

namespace loretoken {

bool uuid_text(int ordinal, char (*text)[kUuidText]) {
  CUuuid uuid{};
  if (driver().cuDeviceGetUuid == nullptr || driver().cuDeviceGetUuid(&uuid, ordinal) != CUDA_SUCCESS) return false;
  unsigned char b[16];
  memcpy(b, uuid.bytes, sizeof b);
  snprintf(*text, sizeof *text, "GPU-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
           b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
  return true;
}

}  // namespace loretoken
