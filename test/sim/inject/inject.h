// Faults on request, for the simulated driver and the simulated NVML.
//
// Rules come from the environment when the process starts and from a control file while it runs
// (LORETOKEN_SIM_CONTROL names it; it is read again when it changed, within kRecheckMs). The file holds `key=value`
// lines; the environment has the same keys as LORETOKEN_SIM_FAIL, LORETOKEN_SIM_SLOW, …, several values parted by
// commas.
//
//   fail=<symbol|*>:<n>[+]:<code>
//       the n-th call (with `+`: and all later ones) returns CUresult <code>; `*` counts all calls
//   slow=<what>:<microseconds>
//       every call of the symbol, or every operation or kernel of that name, takes longer
//   late=<symbol>:<microseconds>
//       every call of the symbol returns so much later than it was done
//   flip=<n>:<seed>
//       before the n-th stream operation one bit of live device memory is flipped
//   flip_behind=<n>:<device|host>:<hex digits>:<offset>
//       before the n-th stream operation one bit is flipped <offset> bytes behind the start of every place, aligned to
//       64 bytes, that begins with those bytes in live device memory or in pinned host memory
//   xid=<code>[:<device>[:<n>]]
//       NVML reports the XID once; a changed line (say, another n) reports again
//   temperature=, temperature_margin=, power_watts=, throttle=, utilization=, memory_utilization=, ecc_errors=
//       what NVML reports; `power_watts.1=` is for device 1 only
//
// n counts from the moment the line was first read. Lines that cannot be read are reported on stderr, once each.
#ifndef LORETOKEN_SIM_INJECT_H
#define LORETOKEN_SIM_INJECT_H

#include <cuda.h>
#include <stddef.h>
#include <stdint.h>

#include <vector>

namespace loretoken::sim::inject {

inline constexpr int kRecheckMs = 5;

// Called at the entry of every exported driver function, before anything else, without any driver lock held.
// Returns CUDA_SUCCESS to go on, or the error the call returns at once. May be called from several threads.
// Cost without rules: two relaxed loads; with a control file one coarse clock read more.
CUresult on_call(const char* name) noexcept;

// Called when such a function returns, without any driver lock held. May sleep. Cost without rules: as on_call.
void on_return(const char* name) noexcept;

// Called on a worker thread just before a stream operation runs ("kernel", "memcpy", "memset", ...), no lock held; may
// sleep, and flips the bits that are due. For kernels call it with the kernel's own name as `detail`.
void before_op(const char* what, const char* detail = nullptr) noexcept;

// Live device memory, as an address at which the driver itself may always write it (never PROT_NONE).
struct Range {
  void* address;
  size_t bytes;
};
// The driver names here, once, how to list the live ranges; it is called without locks, and only when a flip is due.
// `host`: the pinned host memory that it gave out instead.
using ListRanges = std::vector<Range> (*)(bool host);
void set_range_source(ListRanges list) noexcept;

// Flips one bit in the ranges, which bit follows from the seed alone. False when the ranges hold no byte.
bool flip_bit(const std::vector<Range>& ranges, uint64_t seed) noexcept;

// Flips the lowest bit of the byte `offset` behind every place in the ranges, at steps of 64 bytes from their starts,
// that begins with `bytes`. Returns how many.
size_t flip_behind(const std::vector<Range>& ranges, const std::vector<unsigned char>& bytes, uint64_t offset) noexcept;

// What the card's sensors say now. Read by NVML.
struct Health {
  double temperature = 41;         // degrees Celsius
  double temperature_margin = 53;  // degrees below the slowdown limit
  double power_watts = 120;
  uint64_t throttle = 0;     // NVML clocks-event bits
  unsigned utilization = 0;  // percent of time with a kernel running
  unsigned memory_utilization = 0;
  uint64_t ecc_errors = 0;  // uncorrected, since the driver was loaded
};
Health health(int device) noexcept;

// XIDs told so far, oldest first; the sequence number of the first is 0.
struct Xid {
  uint64_t code;
  int device;
};
std::vector<Xid> xids() noexcept;

}  // namespace loretoken::sim::inject

#endif  // LORETOKEN_SIM_INJECT_H
