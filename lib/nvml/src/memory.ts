/** What is held of a GPU's memory, and by whom. */
import koffi from "koffi";
import type { Out } from "./calls.ts";
import { errorCode, NVML_SUCCESS, NvmlError } from "./errors.ts";
import type { DeviceHandle } from "./handle.ts";
import { meansAbsent } from "./handle.ts";
import {
  type MemoryV2,
  memoryV2,
  NO_INSTANCE,
  NOT_AVAILABLE,
  type ProcessInfo,
  processInfo,
  versionWord,
} from "./layout.ts";

/** Bytes. `total` = `reserved` (kept by driver and firmware) + `used` + `free`. */
export interface Memory {
  readonly total: number;
  readonly reserved: number;
  readonly used: number;
  readonly free: number;
}

export interface ComputeProcess {
  /** In the PID namespace of this process's NVML, as a rule the host's. */
  readonly pid: number;
  /** Undefined where the driver does not tell it (MIG without permission). */
  readonly usedBytes: number | undefined;
  /** Undefined without MIG. */
  readonly gpuInstance: number | undefined;
}

/** @returns undefined if this GPU has no memory of its own. @throws {NvmlError} */
export function readMemory(device: DeviceHandle): Memory | undefined {
  const memory: MemoryV2 = { version: versionWord(memoryV2, 2), total: 0, reserved: 0, free: 0, used: 0 };
  if (!device.ask("nvmlDeviceGetMemoryInfo_v2", memory)) return undefined;
  const { total, reserved, used, free } = memory;
  return { total, reserved, used, free };
}

/** More processes than were there a moment ago may have started; give up after this many. */
const attempts = 8;
const firstRoom = 32;

/**
 * Processes with a compute context on this GPU.
 * @returns undefined if this GPU cannot tell. @throws {NvmlError}
 */
export function readProcesses(device: DeviceHandle): ComputeProcess[] | undefined {
  const call = "nvmlDeviceGetComputeRunningProcesses_v3";
  let code = NVML_SUCCESS;
  let room = firstRoom;
  for (let attempt = 0; attempt < attempts; ++attempt) {
    const count: Out<number> = [room];
    const infos = new Uint8Array(room * koffi.sizeof(processInfo));
    code = device.code(call, count, infos);
    if (code === NVML_SUCCESS) return decode(infos, count[0]);
    if (code !== errorCode("NVML_ERROR_INSUFFICIENT_SIZE")) break;
    room = count[0] + firstRoom;
  }
  if (meansAbsent(code)) return undefined;
  throw new NvmlError(call, code);
}

function decode(infos: Uint8Array, count: number): ComputeProcess[] {
  if (count === 0) return [];
  const decoded = koffi.decode(infos, koffi.array(processInfo, count)) as ProcessInfo[];
  return decoded.map(({ pid, usedGpuMemory, gpuInstanceId }) => ({
    pid,
    usedBytes: BigInt(usedGpuMemory) === NOT_AVAILABLE ? undefined : Number(usedGpuMemory),
    gpuInstance: gpuInstanceId === NO_INSTANCE ? undefined : gpuInstanceId,
  }));
}
