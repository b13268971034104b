#include "board.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <sstream>

namespace loretoken::sim::board {

namespace {

constexpr uint64_t kDefaultMemory = 8ull << 30;
constexpr uint64_t kMagic = 0x32454d49534b544cull;  // "LTKSIME2" in little endian, changes with the layout
constexpr int kRows = 512;

// One living process. `owner` is claimed by compare-exchange from 0 (or from a dead process's value).
struct Row {
  std::atomic<uint64_t> owner;  // pid in the low half, low half of the start time above it
  std::atomic<uint64_t> bytes[kMaxDevices];
  std::atomic<uint32_t> contexts[kMaxDevices];
};

struct Board {
  std::atomic<uint64_t> magic;
  Row rows[kRows];
};

// Clock ticks between boot and the process's start; 0 when there is no such process.
uint64_t start_time(uint32_t pid) {
  char path[64], text[1024];
  std::snprintf(path, sizeof path, "/proc/%u/stat", pid);
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  if (length <= 0) return 0;
  text[length] = '\0';
  const char* field = std::strrchr(text, ')');  // the name may hold blanks; field 3 follows it
  for (int i = 2; field && i < 22; ++i) field = std::strchr(field + 1, ' ');
  return field ? std::strtoull(field, nullptr, 10) : 0;
}

uint64_t owner_of(uint32_t pid) {
  return (start_time(pid) << 32) | pid;
}

bool alive(uint64_t owner) {
  const auto pid = static_cast<uint32_t>(owner);
  if (pid == 0) return false;
  if (kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH) return false;
  return owner_of(pid) == owner;
}

std::string state_path() {
  if (const char* path = std::getenv("LORETOKEN_SIM_STATE"); path && *path) return path;
  return "/dev/shm/loretoken-sim-" + std::to_string(getuid());
}

Board* open_board() {
  const std::string path = state_path();
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || ftruncate(fd, sizeof(Board)) != 0) {
    std::fprintf(stderr, "loretoken-sim: cannot use %s: %s; NVML will not see this process\n", path.c_str(),
                 std::strerror(errno));
    if (fd >= 0) close(fd);
    return nullptr;
  }
  void* memory = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (memory == MAP_FAILED) return nullptr;
  auto* board = static_cast<Board*>(memory);
  uint64_t empty = 0;
  if (!board->magic.compare_exchange_strong(empty, kMagic) && empty != kMagic) {
    std::fprintf(stderr, "loretoken-sim: %s is of another version; remove it\n", path.c_str());
    munmap(memory, sizeof(Board));
    return nullptr;
  }
  return board;
}

Board* board() {
  static Board* instance = open_board();
  return instance;
}

Row* claim_row(uint64_t owner) {
  if (!board()) return nullptr;
  for (Row& row : board()->rows) {
    uint64_t previous = row.owner.load();
    if (previous != 0 && alive(previous)) continue;
    if (!row.owner.compare_exchange_strong(previous, owner)) continue;
    for (auto& bytes : row.bytes) bytes.store(0);
    for (auto& contexts : row.contexts) contexts.store(0);
    return &row;
  }
  return nullptr;
}

std::atomic<Row*> own_row{nullptr};
std::atomic<pid_t> own_pid{0};

// The row of this process; a forked child gets one of its own.
Row* row() {
  if (own_pid.load(std::memory_order_acquire) == getpid()) return own_row.load(std::memory_order_relaxed);
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  if (own_pid.load() == getpid()) return own_row.load();
  own_row.store(claim_row(owner_of(static_cast<uint32_t>(getpid()))));
  own_pid.store(getpid(), std::memory_order_release);
  std::atexit([] {
    Row* mine = own_row.load();
    if (mine && own_pid.load() == getpid()) mine->owner.store(0);
  });
  return own_row.load();
}

Card make_card(int index, uint64_t bytes) {
  Card card;
  card.slot = index;
  card.memory_bytes = bytes;
  card.name = "LoreToken Simulated GPU";
  const uint8_t head[16] = {0x10, 0x4e, 0x70, 0x4e, 0x51, 0x4d, 0x40, 0x00, 0x80};
  std::memcpy(card.uuid, head, sizeof head);
  card.uuid[15] = static_cast<uint8_t>(index + 1);
  card.pci_bus = static_cast<unsigned>(index + 1);
  return card;
}

std::vector<Card> read_cards() {
  std::vector<Card> cards;
  const char* text = std::getenv("LORETOKEN_SIM_DEVICES");
  std::stringstream stream(text && *text ? text : "8GiB");
  for (std::string part; std::getline(stream, part, ',') && cards.size() < kMaxDevices;) {
    uint64_t bytes = parse_size(part);
    if (bytes == 0) {
      std::fprintf(stderr, "loretoken-sim: LORETOKEN_SIM_DEVICES: \"%s\" is no size like 24GiB; taking 8GiB\n",
                   part.c_str());
      bytes = kDefaultMemory;
    }
    cards.push_back(make_card(static_cast<int>(cards.size()), bytes));
  }
  if (const char* visible = std::getenv("NVIDIA_VISIBLE_DEVICES"); visible && std::strstr(visible, "GPU-")) {
    const std::string list = visible;
    std::erase_if(cards, [&](const Card& card) { return list.find(uuid_text(card)) == std::string::npos; });
  }
  return cards;
}

// The machine's number of a visible card; other numbers stand for themselves, -1: none.
int slot_of(int device) {
  if (device < 0 || device >= kMaxDevices) return -1;
  return static_cast<size_t>(device) < cards().size() ? cards()[static_cast<size_t>(device)].slot : device;
}

}  // namespace

uint64_t parse_size(const std::string& text) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  const std::string unit = end;
  double factor = 0;
  if (unit.empty() || unit == "B") factor = 1;
  if (unit == "KiB") factor = 1024.0;
  if (unit == "MiB") factor = 1024.0 * 1024;
  if (unit == "GiB") factor = 1024.0 * 1024 * 1024;
  if (unit == "MB") factor = 1e6;
  if (unit == "GB") factor = 1e9;
  const double bytes = number * factor;
  return end != text.c_str() && bytes >= 1 && bytes < 1e15 ? static_cast<uint64_t>(bytes) : 0;
}

const std::vector<Card>& cards() {
  static const auto* instance = new std::vector<Card>(read_cards());
  return *instance;
}

std::string uuid_text(const Card& card) {
  char text[48];
  const uint8_t* u = card.uuid;
  std::snprintf(text, sizeof text, "GPU-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0],
                u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
  return text;
}

std::string bus_text(const Card& card) {
  char text[24];
  std::snprintf(text, sizeof text, "%08X:%02X:%02X.0", card.pci_domain, card.pci_bus, card.pci_device);
  return text;
}

void publish_used(int device, uint64_t bytes) noexcept {
  const int slot = slot_of(device);
  if (Row* mine = slot >= 0 ? row() : nullptr) mine->bytes[slot].store(bytes, std::memory_order_relaxed);
}

void publish_context(int device, bool present) noexcept {
  const int slot = slot_of(device);
  if (Row* mine = slot >= 0 ? row() : nullptr) mine->contexts[slot].store(present, std::memory_order_relaxed);
}

std::vector<Use> uses(int device) noexcept {
  std::vector<Use> living;
  const int slot = slot_of(device);
  if (slot < 0 || !board()) return living;
  for (Row& entry : board()->rows) {
    const uint64_t owner = entry.owner.load();
    const uint64_t bytes = entry.bytes[slot].load(std::memory_order_relaxed);
    if (owner == 0 || (bytes == 0 && entry.contexts[slot].load() == 0) || !alive(owner)) continue;
    living.push_back({static_cast<uint32_t>(owner), bytes});
  }
  return living;
}

}  // namespace loretoken::sim::board
