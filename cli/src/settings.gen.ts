// Generated from shim/src/base/settings.def by make generate.

export interface Setting {
  readonly name: string;
  readonly type: string;
  /** Used when the variable is not set; "" where the meaning says what then holds. */
  readonly fallback: string;
  readonly meaning: string;
}

export const settings: readonly Setting[] = [
  {
    name: "LORETOKEN_MODE",
    type: "full|hold|off",
    fallback: "full",
    meaning: "full: pack and unpack; hold: pack nothing new; off: plain CUDA",
  },
  {
    name: "LORETOKEN_LIMIT",
    type: "size",
    fallback: "",
    meaning: "physical memory this process may hold per device (24GiB, 80%); default: what the card has free at the start less a reserve",
  },
  {
    name: "LORETOKEN_VIRTUAL",
    type: "size",
    fallback: "150%",
    meaning: "memory the program is told each device has; a share is of the limit",
  },
  {
    name: "LORETOKEN_HOST",
    type: "size",
    fallback: "50%",
    meaning: "pinned host memory for what does not fit packed, of all processes that share the telemetry file; a share is of the machine's memory or the control group's limit; 0 for none",
  },
  {
    name: "LORETOKEN_LOW_WATER",
    type: "size",
    fallback: "5%",
    meaning: "physical memory kept free ahead of need; a share is of the limit",
  },
  {
    name: "LORETOKEN_SHARED_BELOW",
    type: "size",
    fallback: "16MiB",
    meaning: "allocations below this share physical handles",
  },
  {
    name: "LORETOKEN_SLAB_BELOW",
    type: "size",
    fallback: "64KiB",
    meaning: "allocations up to this are sub-allocated and stay raw",
  },
  {
    name: "LORETOKEN_CHECK",
    type: "none|strict",
    fallback: "none",
    meaning: "strict: unmap everything a launch cannot reach before it (a test mode)",
  },
  {
    name: "LORETOKEN_POINTERS",
    type: "learned|strict",
    fallback: "learned",
    meaning: "learned: pointers stored by kernels are learned; strict: scanned at every launch",
  },
  {
    name: "LORETOKEN_VERIFY",
    type: "always|sample|off",
    fallback: "always",
    meaning: "always, sample, off: decode and compare before a raw copy is released",
  },
  {
    name: "LORETOKEN_INTEGRITY",
    type: "log|fail|passthrough",
    fallback: "fail",
    meaning: "log, fail, passthrough: what a checksum mismatch does",
  },
  {
    name: "LORETOKEN_INTEGRITY_THRESHOLD",
    type: "number 1…1000000",
    fallback: "1",
    meaning: "mismatches within the window from which LORETOKEN_INTEGRITY is done",
  },
  {
    name: "LORETOKEN_INTEGRITY_WINDOW",
    type: "number 1…1000000",
    fallback: "3600",
    meaning: "seconds within which mismatches are counted together",
  },
  {
    name: "LORETOKEN_MAX_PENALTY",
    type: "number 0…100",
    fallback: "0",
    meaning: "percent of the time that launches may wait for memory to be unpacked, then less is packed; 0: no limit",
  },
  {
    name: "LORETOKEN_PENALTY_WINDOW",
    type: "number 10…3600000",
    fallback: "10000",
    meaning: "milliseconds over which that share is taken",
  },
  {
    name: "LORETOKEN_MAX_TEMPERATURE",
    type: "number -100…200",
    fallback: "0",
    meaning: "degrees Celsius above which less is packed; negative: degrees to the card's slowdown; 0: no limit",
  },
  {
    name: "LORETOKEN_MAX_POWER",
    type: "number 0…200",
    fallback: "0",
    meaning: "percent of the enforced power limit above which less is packed; 0: no limit",
  },
  {
    name: "LORETOKEN_SAMPLE_EVERY",
    type: "number 1…1000000",
    fallback: "256",
    meaning: "launches of a known kernel between two pointer scans behind it; a power of two, doubled (up to 64 times) by each that finds none",
  },
  {
    name: "LORETOKEN_CONTROL",
    type: "text",
    fallback: "",
    meaning: "file in which a node agent states limits, policy and verdicts; empty: none",
  },
  {
    name: "LORETOKEN_GUARD_PAUSE",
    type: "number 10…60000",
    fallback: "250",
    meaning: "milliseconds between two looks of the guardrails",
  },
  {
    name: "LORETOKEN_TELEMETRY",
    type: "text",
    fallback: "",
    meaning: "file for counters; empty: none",
  },
  {
    name: "LORETOKEN_KERNELS",
    type: "text",
    fallback: "",
    meaning: "kernel image; empty: loretoken_kernels.fatbin beside the library",
  },
  {
    name: "LORETOKEN_LOG",
    type: "error|warn|info|debug",
    fallback: "warn",
    meaning: "error, warn, info, debug",
  },
];
