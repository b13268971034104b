/**
 * The seam to libnvidia-ml: NVML's functions under their own names, unchecked. Everything above it takes a `Calls`, so
 * that a test can put an error in the place of one answer.
 */
import { promisify } from "node:util";
import koffi, { type LibraryHandle, type TypeObject } from "koffi";
import { errorCode } from "./errors.ts";
import * as layout from "./layout.ts";

/** A handle as the binding sees it. It has no type: only the classes that wrap it may hold one. */
export type Pointer = bigint;
/** Where a call puts its answer. */
export type Out<T> = [T];

/** Each returns an NVML result code; what it fills is only valid for NVML_SUCCESS. */
export interface Calls {
  nvmlInit_v2(): number;
  nvmlShutdown(): number;
  nvmlSystemGetDriverVersion(text: Uint8Array, room: number): number;
  nvmlSystemGetNVMLVersion(text: Uint8Array, room: number): number;
  nvmlDeviceGetCount_v2(count: Out<number>): number;
  nvmlDeviceGetHandleByIndex_v2(index: number, device: Out<Pointer | null>): number;
  nvmlDeviceGetHandleByUUID(uuid: string, device: Out<Pointer | null>): number;
  nvmlDeviceGetIndex(device: Pointer, index: Out<number>): number;
  nvmlDeviceGetMinorNumber(device: Pointer, minor: Out<number>): number;
  nvmlDeviceGetUUID(device: Pointer, text: Uint8Array, room: number): number;
  nvmlDeviceGetName(device: Pointer, text: Uint8Array, room: number): number;
  nvmlDeviceGetPciInfo_v3(device: Pointer, info: Partial<layout.PciInfo>): number;
  nvmlDeviceGetMemoryInfo_v2(device: Pointer, memory: layout.MemoryV2): number;
  /** `infos` has room for `count` structures. */
  nvmlDeviceGetComputeRunningProcesses_v3(device: Pointer, count: Out<number>, infos: Uint8Array | null): number;
  nvmlDeviceGetTemperature(device: Pointer, sensor: number, degrees: Out<number>): number;
  nvmlDeviceGetTemperatureThreshold(device: Pointer, threshold: number, degrees: Out<number>): number;
  nvmlDeviceGetMarginTemperature(device: Pointer, margin: layout.MarginTemperature): number;
  /** Puts new objects into `values`. */
  nvmlDeviceGetFieldValues(device: Pointer, count: number, values: layout.FieldValue[]): number;
  nvmlDeviceGetPowerUsage(device: Pointer, milliwatts: Out<number>): number;
  nvmlDeviceGetEnforcedPowerLimit(device: Pointer, milliwatts: Out<number>): number;
  nvmlDeviceGetClockInfo(device: Pointer, clock: number, mhz: Out<number>): number;
  nvmlDeviceGetMaxClockInfo(device: Pointer, clock: number, mhz: Out<number>): number;
  nvmlDeviceGetCurrentClocksEventReasons(device: Pointer, bits: Out<number | bigint>): number;
  nvmlDeviceGetCurrentClocksThrottleReasons(device: Pointer, bits: Out<number | bigint>): number;
  nvmlDeviceGetTotalEccErrors(device: Pointer, type: number, counter: number, count: Out<number>): number;
  nvmlDeviceGetMigMode(device: Pointer, current: Out<number>, pending: Out<number>): number;
  nvmlDeviceGetSupportedEventTypes(device: Pointer, types: Out<number>): number;
  nvmlDeviceRegisterEvents(device: Pointer, types: number, set: Pointer): number;
  nvmlEventSetCreate(set: Out<Pointer | null>): number;
  nvmlEventSetFree(set: Pointer): number;
  /** Waits up to `milliseconds` in a thread of Node's pool, which has it to itself until NVML returns; `data` is filled when it resolves. */
  nvmlEventSetWait_v2(set: Pointer, data: Partial<layout.EventData>, milliseconds: number): Promise<number>;
}

type Argument = Parameters<LibraryHandle["func"]>[3][number];

const pointer = koffi.pointer(koffi.opaque());
const out = (type: string | TypeObject): Argument => koffi.out(koffi.pointer(type));
const inout = (type: TypeObject): Argument => koffi.inout(koffi.pointer(type));
const u32 = "uint32_t";
const u64 = "uint64_t";
const text: readonly Argument[] = ["void *", u32];

const signatures: Record<keyof Calls, readonly Argument[]> = {
  nvmlInit_v2: [],
  nvmlShutdown: [],
  nvmlSystemGetDriverVersion: text,
  nvmlSystemGetNVMLVersion: text,
  nvmlDeviceGetCount_v2: [out(u32)],
  nvmlDeviceGetHandleByIndex_v2: [u32, out(pointer)],
  nvmlDeviceGetHandleByUUID: ["const char *", out(pointer)],
  nvmlDeviceGetIndex: [pointer, out(u32)],
  nvmlDeviceGetMinorNumber: [pointer, out(u32)],
  nvmlDeviceGetUUID: [pointer, ...text],
  nvmlDeviceGetName: [pointer, ...text],
  nvmlDeviceGetPciInfo_v3: [pointer, out(layout.pciInfo)],
  nvmlDeviceGetMemoryInfo_v2: [pointer, inout(layout.memoryV2)],
  nvmlDeviceGetComputeRunningProcesses_v3: [pointer, koffi.inout(koffi.pointer(u32)), "void *"],
  nvmlDeviceGetTemperature: [pointer, u32, out(u32)],
  nvmlDeviceGetTemperatureThreshold: [pointer, u32, out(u32)],
  nvmlDeviceGetMarginTemperature: [pointer, inout(layout.marginTemperature)],
  nvmlDeviceGetFieldValues: [pointer, "int32_t", inout(layout.fieldValue)],
  nvmlDeviceGetPowerUsage: [pointer, out(u32)],
  nvmlDeviceGetEnforcedPowerLimit: [pointer, out(u32)],
  nvmlDeviceGetClockInfo: [pointer, u32, out(u32)],
  nvmlDeviceGetMaxClockInfo: [pointer, u32, out(u32)],
  nvmlDeviceGetCurrentClocksEventReasons: [pointer, out(u64)],
  nvmlDeviceGetCurrentClocksThrottleReasons: [pointer, out(u64)],
  nvmlDeviceGetTotalEccErrors: [pointer, u32, u32, out(u64)],
  nvmlDeviceGetMigMode: [pointer, out(u32), out(u32)],
  nvmlDeviceGetSupportedEventTypes: [pointer, out(u64)],
  nvmlDeviceRegisterEvents: [pointer, u64, pointer],
  nvmlEventSetCreate: [out(pointer)],
  nvmlEventSetFree: [pointer],
  nvmlEventSetWait_v2: [pointer, out(layout.eventData), u32],
};

/** The names in `Calls`. */
export const callNames = Object.keys(signatures) as readonly (keyof Calls)[];

/**
 * Loads the library and finds every function. A function that this driver lacks answers
 * NVML_ERROR_FUNCTION_NOT_FOUND, as NVML itself does. Loading starts nothing and is cheap to repeat.
 * @throws {Error} the dynamic loader's words if the library cannot be loaded.
 */
export function loadCalls(library: string): Calls {
  const loaded = koffi.load(library);
  const entries = callNames.map((name) => [name, waits.has(name) ? findWaiting(loaded, name) : find(loaded, name)]);
  return Object.fromEntries(entries) as Calls;
}

/** Those that block their thread. */
const waits: ReadonlySet<keyof Calls> = new Set(["nvmlEventSetWait_v2"]);

function find(library: LibraryHandle, name: keyof Calls): unknown {
  return findFunction(library, name) ?? (() => errorCode("NVML_ERROR_FUNCTION_NOT_FOUND"));
}

function findWaiting(library: LibraryHandle, name: keyof Calls): unknown {
  const found = findFunction(library, name);
  return found === undefined ? async () => errorCode("NVML_ERROR_FUNCTION_NOT_FOUND") : promisify(found.async);
}

function findFunction(library: LibraryHandle, name: keyof Calls): ReturnType<LibraryHandle["func"]> | undefined {
  try {
    return library.func(name, "int", [...signatures[name]]);
  } catch {
    return undefined;
  }
}
