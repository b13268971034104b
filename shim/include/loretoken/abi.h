// The one memory layout in which the shim and the node agent meet: two files, mapped shared.
//
//   control    the agent writes, every process of the container reads
//   telemetry  the processes write, the agent reads
//
// Rules of the layout
//   - Fixed-width fields, host byte order, no pointers, explicit padding: every struct has the same layout in C, C++
//     and TypeScript. Sizes are bytes, times are nanoseconds of CLOCK_MONOTONIC unless a name says otherwise.
//   - Versioned so that old and new cope with each other: readers check magic and version_major, take the sizes and
//     counts of the tables from the header, and treat fields beyond the stated size of a row as zero. A new minor
//     version only appends fields to rows or gives names to reserved ones; offsets never change within a major version.
//   - Every field of the telemetry file is written by atomic 8- or 4-byte stores (relaxed); a reader may see a row
//   between two
//     updates, never a torn field.
#pragma once

#include <stdint.h>

#define LORETOKEN_CONTROL_MAGIC 0x4C4F5245435452Cull   // "LORECTRL" shortened to 60 bits
#define LORETOKEN_TELEMETRY_MAGIC 0x4C4F524554454Cull  // "LORETEL"
#define LORETOKEN_ABI_MAJOR 1u
#define LORETOKEN_ABI_MINOR 0u

#define LORETOKEN_MAX_DEVICES 16u  // devices of one container
#define LORETOKEN_MAX_PROCESSES 64u
#define LORETOKEN_MAX_ROWS 128u  // (process, device) pairs
#define LORETOKEN_MAX_EVENTS 128u
#define LORETOKEN_PIN_REASONS 16u  // order of enum Pin; unused ones are 0
#define LORETOKEN_CODECS 16u       // order of LORETOKEN_CODEC_*
#define LORETOKEN_GUARDS 16u       // order of LORETOKEN_GUARD_*

// Modes. Same order in policy and report.
#define LORETOKEN_MODE_FULL 0u
#define LORETOKEN_MODE_HOLD 1u
#define LORETOKEN_MODE_OFF 2u

// Codecs (bit numbers in codec sets, indexes in per-codec counters): the ids of the blob format.
#define LORETOKEN_CODEC_RAW 0u
#define LORETOKEN_CODEC_CONSTANT 1u
#define LORETOKEN_CODEC_ZERO_RUN 2u
#define LORETOKEN_CODEC_EXPONENT_BF16 3u
#define LORETOKEN_CODEC_EXPONENT_FP16 4u
#define LORETOKEN_CODEC_EXPONENT_FP32 5u
#define LORETOKEN_CODEC_SPARSE 6u
#define LORETOKEN_CODEC_DICTIONARY 7u
#define LORETOKEN_CODEC_DELTA 8u
#define LORETOKEN_CODEC_PATTERN 9u
#define LORETOKEN_CODEC_FP8 10u
#define LORETOKEN_CODEC_INT8 11u
#define LORETOKEN_CODEC_INT4 12u

// Guardrails.
#define LORETOKEN_GUARD_INTEGRITY 1u
#define LORETOKEN_GUARD_THERMAL 2u
#define LORETOKEN_GUARD_POWER 3u
#define LORETOKEN_GUARD_PENALTY 4u
#define LORETOKEN_GUARD_MEMORY 5u  // out of room
#define LORETOKEN_GUARD_DRIVER 6u  // the driver or the shim's own start
// The GPU reported a fault or an uncorrected memory error (ECC), or is lost. Figure: the XID, 0 where there is none.
#define LORETOKEN_GUARD_DEVICE 7u

// ---------------------------------------------------------------- control

struct loretoken_control_device {
  uint8_t uuid[16];          // as cuDeviceGetUuid returns it; all zero: unused entry
  uint64_t limit;            // physical bytes for the whole container on this device; 0: not set
  uint64_t virtual_size;     // bytes the program is told; 0: not set
  uint32_t verdict_mode;     // LORETOKEN_MODE_*: at most this mode, by the agent's guardrails
  uint32_t verdict_guard;    // LORETOKEN_GUARD_* that decided, 0: none
  uint64_t verdict_figure;   // what was measured (milli-degrees, milliwatts, …)
  uint64_t verdict_limit;    // what it was compared with, same unit
  uint32_t verdict_backoff;  // packing runs at 1 / 2^n of its rate, by the agent's guardrails
  uint32_t reserved0;
  uint64_t reserved[3];
};

// Seqlock: `sequence` is odd while the agent writes. Readers copy, then compare.
struct loretoken_control {
  uint64_t magic;
  uint32_t version_major;
  uint32_t version_minor;
  uint64_t size;      // bytes of the file that carry data
  uint64_t sequence;  // atomic
  uint64_t policy_generation;
  uint32_t mode;                  // LORETOKEN_MODE_* the policy asks for
  uint32_t verify;                // 0 always, 1 sample, 2 off
  uint32_t integrity;             // 0 log, 1 fail, 2 passthrough
  uint32_t max_penalty_permille;  // 0: no limit
  uint64_t codecs;                // bit per LORETOKEN_CODEC_*; 0: all lossless ones
  uint64_t host_limit;            // bytes of host memory pinned by the shim in all processes; UINT64_MAX: not set
  int64_t max_temperature_milli;  // milli-degrees, or margin if negative; 0: no limit
  uint64_t max_power_milliwatts;  // 0: no limit
  uint32_t device_count;          // entries of `devices` that are stated
  uint32_t device_size;           // sizeof(struct loretoken_control_device) of the writer
  uint64_t heartbeat_ns;  // CLOCK_MONOTONIC of the agent's last sign of life; 0: none. With an old one the verdicts
                          // no longer count and the shim reads NVML itself
  uint32_t integrity_threshold;  // mismatches within the window from which `integrity` is done; 0: the first
  uint32_t integrity_window_s;   // 0: 3600
  uint32_t penalty_window_ms;    // 0: 10000
  uint32_t max_power_permille;   // of the enforced power limit; 0: no limit
  uint32_t pointer_safety;       // 0 not set, 1 learned, 2 strict
  uint32_t reserved0;
  uint64_t reserved[4];
  struct loretoken_control_device devices[LORETOKEN_MAX_DEVICES];
};

// -------------------------------------------------------------- telemetry

// A process of the container. Claimed by compare-and-swap of `pid` from 0 to the pid; reclaimed by anyone once no such
// pid with that start time exists. Pids are those of the container's own namespace.
struct loretoken_process {
  uint32_t pid;  // atomic; 0: free
  uint32_t reserved0;
  uint64_t start_time;  // field 22 of /proc/<pid>/stat (clock ticks since boot); 0 while being claimed
  uint64_t charged[LORETOKEN_MAX_DEVICES];  // atomic; physical bytes held per device index of the control block, or
                                            // driver ordinal without one
  uint64_t pinned;  // atomic; bytes of host memory pinned by the shim, for what does not fit packed
  uint64_t reserved[3];
};

// Counters of one process on one device. Monotonic unless marked (now) or (peak).
struct loretoken_row {
  uint32_t pid;     // atomic; 0: free
  uint32_t device;  // driver ordinal in the process
  uint8_t uuid[16];
  uint64_t start_time;
  uint32_t mode;        // LORETOKEN_MODE_* (now)
  uint32_t mode_guard;  // LORETOKEN_GUARD_* that set it, 0: settings
  char mode_cause[64];  // text, NUL-terminated
  uint64_t updated;     // CLOCK_MONOTONIC of the last update of the gauges

  uint64_t physical_total;  // bytes of the card
  uint64_t limit;           // (now)
  uint64_t virtual_size;    // (now)
  uint64_t live_bytes;      // logical bytes of live allocations (now)
  uint64_t live_peak;
  uint64_t raw_bytes;  // (now) mapped VRAM behind allocations
  uint64_t raw_peak;
  uint64_t packed_bytes;  // (now) VRAM behind blobs
  uint64_t packed_peak;
  uint64_t packed_logical;  // (now) bytes those blobs stand for
  uint64_t host_bytes;      // (now) host memory in blobs
  uint64_t host_peak;
  uint64_t host_logical;  // (now)
  uint64_t idle_bytes;    // (now) physical handles kept for reuse
  uint64_t held_bytes;    // (now) all physical bytes: raw, packed, scratch, idle, foreign
  uint64_t held_peak;
  uint64_t foreign_bytes;  // (now) VMM and managed memory of the program's own, charged to the limit

  uint64_t allocations;
  uint64_t frees;
  uint64_t launches;
  uint64_t slow_launches;  // found something not raw
  uint64_t copies;
  uint64_t graph_launches;
  uint64_t scans;            // pointer scans queued on the GPU
  uint64_t host_scans;       // bytes of host memory scanned by the CPU
  uint64_t kernels_classed;  // kernel functions whose behaviour is known
  uint64_t pointer_kernels;  // those that store pointers
  uint64_t edges;            // learned
  uint64_t edges_live;       // (now)
  uint64_t false_alarms;     // numbers that looked like an address
  uint64_t packs;
  uint64_t packs_refused;  // did not shrink
  uint64_t unpacks;
  uint64_t spills;
  uint64_t fetches;
  uint64_t drops;  // unchanged: released without packing again
  uint64_t remaps;
  uint64_t wait_ns;   // launches waited for us on the host
  uint64_t stall_ns;  // streams waited for us on the GPU, where measured
  uint64_t evict_waits;
  uint64_t verify_failures;
  uint64_t checksum_failures;
  uint64_t out_of_memory;
  uint64_t unknown_entries;  // driver entry points newer than the shim
  uint64_t strict_unmaps;    // LORETOKEN_CHECK=strict

  uint64_t pins[LORETOKEN_PIN_REASONS];  // (now) by reason
  uint64_t codec_in[LORETOKEN_CODECS];   // decoded bytes per codec
  uint64_t codec_out[LORETOKEN_CODECS];  // stored bytes per codec

  uint64_t guard_events[LORETOKEN_GUARDS];  // by guard
  uint64_t unpack_bytes;                    // decoded bytes written by unpacking
  uint64_t spill_bytes;                     // blob bytes copied to host memory
  uint64_t fetch_bytes;                     // blob bytes copied back
  uint64_t penalty_permille;                // (now) of the last whole window
  uint64_t backoff;                         // (now) packing runs at 1 / 2^n of its rate
  uint64_t policy_generation;               // (now) of the control block that is obeyed; 0: none
  uint64_t forced_packs;                    // packs in mode hold or off, for what was promised to the program
  uint64_t reserved[9];
};

// A ring: entry number n lies in slot n % event_count. `number` is written last (release).
struct loretoken_event {
  uint64_t number;       // atomic; 1-based; 0: empty
  uint64_t realtime_ns;  // CLOCK_REALTIME
  uint32_t pid;
  uint32_t device;
  uint32_t guard;  // LORETOKEN_GUARD_*
  uint32_t from_mode;
  uint32_t to_mode;
  uint32_t eased;  // 1: the guard asks for less than before, perhaps in the same mode (pace, allocations left raw)
  uint64_t figure;
  uint64_t limit;
  char text[128];  // NUL-terminated
};

struct loretoken_telemetry {
  uint64_t magic;  // written last by whoever sets the file up
  uint32_t version_major;
  uint32_t version_minor;
  uint64_t size;                                                     // of the file
  uint32_t process_offset, process_size, process_count, row_offset;  // bytes from the start of the file
  uint32_t row_size, row_count, event_offset, event_size;
  uint32_t event_count;
  uint32_t reserved0;
  uint64_t event_next;  // atomic; number of the next event, less one
  uint64_t reserved[16];
  struct loretoken_process processes[LORETOKEN_MAX_PROCESSES];
  struct loretoken_row rows[LORETOKEN_MAX_ROWS];
  struct loretoken_event events[LORETOKEN_MAX_EVENTS];
};
