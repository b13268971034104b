// What the simulated driver and the simulated NVML know in common: the cards, and who uses how much of their memory.
//
// Cards come from LORETOKEN_SIM_DEVICES, memory sizes parted by commas: "24GiB,24GiB" (default "8GiB"; GiB, MiB, KiB,
// GB, MB or plain bytes). NVIDIA_VISIBLE_DEVICES with UUIDs, parted by commas, leaves only those of them, as NVIDIA's
// container runtime does; other values leave all. Memory use is shared by all processes through one small file:
// LORETOKEN_SIM_STATE, or /dev/shm/loretoken-sim-<uid>. Rows of dead processes are reclaimed (pid and start time must
// both match).
#ifndef LORETOKEN_SIM_BOARD_H
#define LORETOKEN_SIM_BOARD_H

#include <stdint.h>

#include <string>
#include <vector>

namespace loretoken::sim::board {

inline constexpr int kMaxDevices = 16;

struct Card {
  uint64_t memory_bytes = 0;
  std::string name;       // "LoreToken Simulated GPU"
  uint8_t uuid[16] = {};  // "GPU-" is followed by these bytes in 8-4-4-4-12 hexadecimal digits
  int slot = 0;           // among all cards of the machine, visible or not
  unsigned pci_domain = 0, pci_bus = 0, pci_device = 0;
  int major = 9, minor = 0;  // compute capability
};

// As the environment says; sizes that cannot be read are reported on stderr and become the default. At most
// kMaxDevices.
const std::vector<Card>& cards();
std::string uuid_text(const Card& card);  // "GPU-xxxxxxxx-…"
std::string bus_text(const Card& card);   // "00000000:01:00.0"

// Reads "24GiB", "512MiB", "1000000"; 0 when it is not a size.
uint64_t parse_size(const std::string& text);

inline constexpr int kDriverVersion = 13000;
inline constexpr const char* kDriverText = "580.159.04";

// Says how much of a card's memory this process holds now. One relaxed store; any thread. Does nothing when the shared
// file cannot be used.
void publish_used(int device, uint64_t bytes) noexcept;
// Says that this process has (or no longer has) a context on the card, so that it is listed as a compute process.
void publish_context(int device, bool present) noexcept;

struct Use {
  uint32_t pid;
  uint64_t bytes;
};
// Living processes with a context or memory on the card.
std::vector<Use> uses(int device) noexcept;

}  // namespace loretoken::sim::board

#endif  // LORETOKEN_SIM_BOARD_H
