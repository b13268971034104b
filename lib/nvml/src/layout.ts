/** NVML's structures and numbers, as NVML 13 lays them out on 64-bit little-endian Linux. */
import koffi, { type TypeObject } from "koffi";

export const memoryV2 = koffi.struct({
  version: "uint32_t",
  total: "uint64_t",
  reserved: "uint64_t",
  free: "uint64_t",
  used: "uint64_t",
});
export interface MemoryV2 {
  version: number;
  total: number;
  reserved: number;
  free: number;
  used: number;
}

export const processInfo = koffi.struct({
  pid: "uint32_t",
  usedGpuMemory: "uint64_t",
  gpuInstanceId: "uint32_t",
  computeInstanceId: "uint32_t",
});
export interface ProcessInfo {
  pid: number;
  usedGpuMemory: number | bigint;
  gpuInstanceId: number;
  computeInstanceId: number;
}

export const pciInfo = koffi.struct({
  busIdLegacy: koffi.array("char", 16),
  domain: "uint32_t",
  bus: "uint32_t",
  device: "uint32_t",
  pciDeviceId: "uint32_t",
  pciSubSystemId: "uint32_t",
  busId: koffi.array("char", 32),
});
export interface PciInfo {
  busId: string;
}

export const marginTemperature = koffi.struct({ version: "uint32_t", marginTemperature: "int32_t" });
export interface MarginTemperature {
  version: number;
  marginTemperature: number;
}

/** `value` is the low half of NVML's union: all of it for the 32-bit integers that are read here. */
export const fieldValue = koffi.struct({
  fieldId: "uint32_t",
  scopeId: "uint32_t",
  timestamp: "int64_t",
  latencyUsec: "int64_t",
  valueType: "uint32_t",
  nvmlReturn: "int32_t",
  value: "int32_t",
  valueHigh: "int32_t",
});
export interface FieldValue {
  fieldId: number;
  scopeId: number;
  timestamp: number;
  latencyUsec: number;
  valueType: number;
  nvmlReturn: number;
  value: number;
  valueHigh: number;
}

export const eventData = koffi.struct({
  device: koffi.pointer(koffi.opaque()),
  eventType: "uint64_t",
  eventData: "uint64_t",
  gpuInstanceId: "uint32_t",
  computeInstanceId: "uint32_t",
});
export interface EventData {
  device: bigint | null;
  eventType: number;
  eventData: number;
  gpuInstanceId: number;
  computeInstanceId: number;
}

/** NVML's version word of a structure: its size, and the version in the top byte. */
export function versionWord(type: TypeObject, version: number): number {
  return koffi.sizeof(type) + version * 2 ** 24;
}

/** Room that NVML documents as enough for its texts, their end included. */
export const UUID_BYTES = 96;
export const NAME_BYTES = 96;
export const VERSION_BYTES = 80;

/** "Not available" among 64-bit figures, and "none" among MIG instance numbers. */
export const NOT_AVAILABLE = 0xffff_ffff_ffff_ffffn;
export const NO_INSTANCE = 0xffff_ffff;

export const SENSOR_GPU = 0;
export const THRESHOLD = { shutdown: 0, slowdown: 1, maximum: 3 } as const;
export const TLIMIT_FIELD = { shutdown: 193, slowdown: 194, maximum: 196 } as const;
export const CLOCK = { graphics: 0, sm: 1, memory: 2 } as const;
export const UNCORRECTED = 1;
export const SINCE_DRIVER_LOAD = 0;
export const EVENT = { doubleBitEcc: 0x2, xid: 0x8 } as const;
