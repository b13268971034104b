/** Clock rates, and why they are not at their highest. */
import type { Out } from "./calls.ts";
import type { DeviceHandle } from "./handle.ts";
import { CLOCK } from "./layout.ts";

/** MHz; undefined where the GPU does not say. */
export interface Clocks {
  readonly graphics: number | undefined;
  readonly sm: number | undefined;
  readonly memory: number | undefined;
}

/** By bit, lowest first: NVML's nvmlClocksEventReason constants. */
export const clockReasons = [
  "GpuIdle",
  "ApplicationsClocksSetting",
  "SwPowerCap",
  "HwSlowdown",
  "SyncBoost",
  "SwThermalSlowdown",
  "HwThermalSlowdown",
  "HwPowerBrakeSlowdown",
  "DisplayClockSetting",
] as const;

/** A bit that a later driver added reads as `Unknown:0x…`. */
export type ClockReason = (typeof clockReasons)[number] | `Unknown:0x${string}`;

/** @throws {NvmlError} */
export function readClocks(device: DeviceHandle, which: "current" | "highest"): Clocks {
  const call = which === "current" ? "nvmlDeviceGetClockInfo" : "nvmlDeviceGetMaxClockInfo";
  const at = (clock: number): number | undefined => {
    const mhz: Out<number> = [0];
    return device.ask(call, clock, mhz) ? mhz[0] : undefined;
  };
  return { graphics: at(CLOCK.graphics), sm: at(CLOCK.sm), memory: at(CLOCK.memory) };
}

/**
 * What holds the clocks down now; several may hold at once. Drivers before 535 know the function by its older name.
 * @returns undefined if this GPU cannot tell. @throws {NvmlError}
 */
export function readClockReasons(device: DeviceHandle): ClockReason[] | undefined {
  const bits: Out<number | bigint> = [0];
  const answered =
    device.ask("nvmlDeviceGetCurrentClocksEventReasons", bits) ||
    device.ask("nvmlDeviceGetCurrentClocksThrottleReasons", bits);
  return answered ? nameReasons(BigInt(bits[0])) : undefined;
}

/** @returns one name per bit that is set, lowest first. */
export function nameReasons(bits: bigint): ClockReason[] {
  const names: ClockReason[] = [];
  for (let bit = 0; bit < 64; ++bit) {
    const flag = 1n << BigInt(bit);
    if (bits & flag) names.push(clockReasons[bit] ?? `Unknown:0x${flag.toString(16)}`);
  }
  return names;
}
