/**
 * The memory layout in which shim and node agent meet: the mirror of shim/include/loretoken/abi.h, field by field under
 * the same names. A test compares size and offset of every field with what the C++ compiler says.
 */
import { array, bits64, bytes, type FieldType, i64, struct, text, u32, u64 } from "./struct.ts";

export const CONTROL_MAGIC = 0x4c4f5245435452cn;
export const TELEMETRY_MAGIC = 0x4c4f524554454cn;
export const ABI_MAJOR = 1;
export const ABI_MINOR = 0;

export const MAX_DEVICES = 16;
export const MAX_PROCESSES = 64;
export const MAX_ROWS = 128;
export const MAX_EVENTS = 128;
export const PIN_REASONS = 16;
export const CODECS = 16;
export const GUARDS = 16;

/** By number: LORETOKEN_MODE_*. */
export const modes = ["full", "hold", "off"] as const;

/** By number: LORETOKEN_CODEC_*. */
export const codecs = [
  "raw",
  "constant",
  "zero_run",
  "exponent_bf16",
  "exponent_fp16",
  "exponent_fp32",
  "sparse",
  "dictionary",
  "delta",
  "pattern",
  "fp8",
  "int8",
  "int4",
] as const;

/** By number: LORETOKEN_GUARD_*; 0 is none. */
export const guards = ["none", "integrity", "thermal", "power", "penalty", "memory", "driver", "device"] as const;

/** By number: enum Pin of the shim, with what each means to a person. */
export const pins = [
  { name: "exported", meaning: "shared with another process" },
  { name: "registered", meaning: "registered with another library or device" },
  { name: "captured", meaning: "reached by a graph whose contents cannot be listed" },
  { name: "pointer_stored", meaning: "its address was copied into memory outside our reach" },
  { name: "texture", meaning: "a texture or surface refers to it" },
  { name: "small", meaning: "too small to move" },
  { name: "incompressible", meaning: "packing did not shrink it" },
  { name: "unknown_call", meaning: "handed to a call whose reach is not known" },
  { name: "mem_op", meaning: "target of stream memory operations" },
  { name: "penalty", meaning: "moving it cost more than it won" },
] as const;

const reserved64 = (count: number): FieldType<number[]> => array(u64, count);

export const controlDevice = struct("loretoken_control_device", {
  uuid: bytes(16),
  limit: bits64,
  virtual_size: bits64,
  verdict_mode: u32,
  verdict_guard: u32,
  verdict_figure: i64,
  verdict_limit: i64,
  verdict_backoff: u32,
  reserved0: u32,
  reserved: reserved64(3),
});

export const control = struct("loretoken_control", {
  magic: bits64,
  version_major: u32,
  version_minor: u32,
  size: u64,
  sequence: bits64,
  policy_generation: u64,
  mode: u32,
  verify: u32,
  integrity: u32,
  max_penalty_permille: u32,
  codecs: bits64,
  host_limit: bits64,
  max_temperature_milli: i64,
  max_power_milliwatts: u64,
  device_count: u32,
  device_size: u32,
  heartbeat_ns: bits64,
  integrity_threshold: u32,
  integrity_window_s: u32,
  penalty_window_ms: u32,
  max_power_permille: u32,
  pointer_safety: u32,
  reserved0: u32,
  reserved: reserved64(4),
  devices: array(controlDevice, MAX_DEVICES),
});

export const processEntry = struct("loretoken_process", {
  pid: u32,
  reserved0: u32,
  start_time: u64,
  charged: array(u64, MAX_DEVICES),
  pinned: u64,
  reserved: reserved64(3),
});

export const row = struct("loretoken_row", {
  pid: u32,
  device: u32,
  uuid: bytes(16),
  start_time: u64,
  mode: u32,
  mode_guard: u32,
  mode_cause: text(64),
  updated: u64,
  physical_total: u64,
  limit: u64,
  virtual_size: u64,
  live_bytes: u64,
  live_peak: u64,
  raw_bytes: u64,
  raw_peak: u64,
  packed_bytes: u64,
  packed_peak: u64,
  packed_logical: u64,
  host_bytes: u64,
  host_peak: u64,
  host_logical: u64,
  idle_bytes: u64,
  held_bytes: u64,
  held_peak: u64,
  foreign_bytes: u64,
  allocations: u64,
  frees: u64,
  launches: u64,
  slow_launches: u64,
  copies: u64,
  graph_launches: u64,
  scans: u64,
  host_scans: u64,
  kernels_classed: u64,
  pointer_kernels: u64,
  edges: u64,
  edges_live: u64,
  false_alarms: u64,
  packs: u64,
  packs_refused: u64,
  unpacks: u64,
  spills: u64,
  fetches: u64,
  drops: u64,
  remaps: u64,
  wait_ns: u64,
  stall_ns: u64,
  evict_waits: u64,
  verify_failures: u64,
  checksum_failures: u64,
  out_of_memory: u64,
  unknown_entries: u64,
  strict_unmaps: u64,
  pins: array(u64, PIN_REASONS),
  codec_in: array(u64, CODECS),
  codec_out: array(u64, CODECS),
  guard_events: array(u64, GUARDS),
  unpack_bytes: u64,
  spill_bytes: u64,
  fetch_bytes: u64,
  penalty_permille: u64,
  backoff: u64,
  policy_generation: u64,
  forced_packs: u64,
  reserved: reserved64(9),
});

export const event = struct("loretoken_event", {
  number: u64,
  realtime_ns: u64,
  pid: u32,
  device: u32,
  guard: u32,
  from_mode: u32,
  to_mode: u32,
  eased: u32,
  figure: i64,
  limit: i64,
  text: text(128),
});

/** The telemetry file's header: `loretoken_telemetry` without its tables, which the header's own figures locate. */
const headerFields = {
  magic: bits64,
  version_major: u32,
  version_minor: u32,
  size: u64,
  process_offset: u32,
  process_size: u32,
  process_count: u32,
  row_offset: u32,
  row_size: u32,
  row_count: u32,
  event_offset: u32,
  event_size: u32,
  event_count: u32,
  reserved0: u32,
  event_next: u64,
  reserved: reserved64(16),
};

export const telemetryHeader = struct("loretoken_telemetry header", headerFields);

export const telemetry = struct("loretoken_telemetry", {
  ...headerFields,
  processes: array(processEntry, MAX_PROCESSES),
  rows: array(row, MAX_ROWS),
  events: array(event, MAX_EVENTS),
});

type Value<S> = S extends FieldType<infer T> ? T : never;
export type Row = Value<typeof row>;
export type ProcessEntry = Value<typeof processEntry>;
export type TelemetryEvent = Value<typeof event>;
export type TelemetryHeader = Value<typeof telemetryHeader>;
export type Control = Value<typeof control>;
export type ControlDevice = Value<typeof controlDevice>;
