// One card as NVML tells of it.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "guard/nvml_library.h"

namespace loretoken {

// Figures of one moment; empty where they were not asked for, or where this card or its driver does not tell.
struct NvmlReading {
  std::optional<int> temperature;       // degrees Celsius
  std::optional<int> margin;            // degrees to the nearest slowdown; 0 or less: the card slows down
  std::optional<uint64_t> power;        // milliwatts, of the whole board
  std::optional<uint64_t> power_limit;  // milliwatts: the lowest of all limits that hold
  std::optional<uint64_t> reasons;      // bits nvmlClocks…Reason…: what holds the clocks down
  std::optional<uint64_t> uncorrected;  // ECC errors not corrected, since the driver was loaded
  bool lost = false;                    // fell off the bus, or must be reset
};

// Something that happened to the card since its events are watched.
struct NvmlEvent {
  bool memory_error = false;  // uncorrected, by ECC; else an XID
  uint64_t xid = 0;
};

// Not for several threads at once. Nothing waits for an event; a figure costs a call into the driver.
class NvmlDevice {
 public:
  // Cheap: the card is looked for at the first open().
  NvmlDevice(int ordinal, NvmlLibrary& library) : ordinal_(ordinal), library_(library) {}

  // Whether NVML knows the card. If not, one line in the log says so, and it is looked for again at most every
  // kNvmlRetry. From the first success on its events are watched.
  bool open(uint64_t now_ns);

  // The rest needs open().

  // `heat`: temperature and margin, `power`: power and its limit; with either, the reasons.
  NvmlReading read(bool heat, bool power);

  // The next event that has come; empty: none, or this card reports none.
  std::optional<NvmlEvent> next_event();

 private:
  void find();
  void watch();
  bool register_events(nvmlEventSet_t set);
  std::optional<int> margin();
  bool answered(nvmlReturn_t code);
  // Whether it answered; false for functions that the driver lacks.
  template <class F, class... A>
  bool ask(F function, A... arguments) {
    return function != nullptr && answered(function(device_, arguments...));
  }

  const int ordinal_;
  NvmlLibrary& library_;
  const Nvml* nvml_ = nullptr;
  uint64_t start_ = 0;  // of the library, that device_ and events_ belong to
  nvmlDevice_t device_ = nullptr;
  nvmlEventSet_t events_ = nullptr;  // nullptr: not watched
  uint64_t next_try_ = 0;
  bool told_ = false;
  bool lost_ = false;
};

}  // namespace loretoken
