// Every way to come by an address.
#include "loretoken/kernel.h"

struct Packet {
  uint32_t count;
  uint32_t between;
  uint64_t* target;
  uint64_t value;
};

LT_GLOBAL(uint64_t*, reach_global);

LT_KERNEL_PLAIN(reach_write, uint64_t* target, uint64_t value) {
  target[0] = value;
}

LT_KERNEL_PLAIN(reach_packet, Packet packet) {
  packet.target[0] = packet.value;
}

LT_KERNEL_PLAIN(reach_store, uint64_t** holder, uint32_t index, uint64_t* target) {
  holder[index] = target;
}

LT_KERNEL_PLAIN(reach_through, uint64_t** holder, uint32_t index, uint64_t value) {
  holder[index][0] = value;
}

LT_KERNEL_PLAIN(reach_through_two, uint64_t*** holder, uint64_t value) {
  holder[0][0][0] = value;
}

LT_KERNEL_PLAIN(reach_copy, uint64_t* dst, const uint64_t* src, uint32_t words) {
  for (uint32_t i = 0; i < words; ++i) dst[i] = src[i];
}

LT_KERNEL_PLAIN(reach_by_global, uint64_t value) {
  reach_global[0] = value;
}
