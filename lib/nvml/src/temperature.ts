/**
 * Heat. Older GPUs state limits in degrees; Hopper and later state margins: how far the GPU is from its limit, and at
 * which margin the hardware acts. Both forms are given as they are, and `readMarginToSlowdown` is the common figure.
 */
import type { Out } from "./calls.ts";
import { NVML_SUCCESS } from "./errors.ts";
import type { DeviceHandle } from "./handle.ts";
import {
  type FieldValue,
  type MarginTemperature,
  marginTemperature,
  SENSOR_GPU,
  THRESHOLD,
  TLIMIT_FIELD,
  versionWord,
} from "./layout.ts";

/**
 * In degrees Celsius: with `unit: "degrees"` temperatures at or above which it happens, with `unit: "margin"` margins
 * below which it happens (often negative: the limit is passed by that much). Undefined where the GPU does not say.
 */
export interface TemperatureLimits {
  readonly unit: "degrees" | "margin";
  /** The driver lowers the clocks. */
  readonly maximum: number | undefined;
  /** The hardware lowers the clocks. */
  readonly slowdown: number | undefined;
  /** The GPU turns itself off. */
  readonly shutdown: number | undefined;
}

/** Degrees Celsius. @returns undefined if there is no sensor. @throws {NvmlError} */
export function readTemperature(device: DeviceHandle): number | undefined {
  const degrees: Out<number> = [0];
  return device.ask("nvmlDeviceGetTemperature", SENSOR_GPU, degrees) ? degrees[0] : undefined;
}

/** They do not change while the GPU runs. @returns undefined if it states none. @throws {NvmlError} */
export function readLimits(device: DeviceHandle): TemperatureLimits | undefined {
  return limitsInDegrees(device) ?? limitsAsMargins(device);
}

/**
 * Degrees Celsius until the nearest slowdown, that by the driver; 0 or less: it slows down now.
 * @returns undefined if neither margin nor limits are known. @throws {NvmlError}
 */
export function readMarginToSlowdown(device: DeviceHandle): number | undefined {
  const margin: MarginTemperature = { version: versionWord(marginTemperature, 1), marginTemperature: 0 };
  if (device.ask("nvmlDeviceGetMarginTemperature", margin)) return margin.marginTemperature;
  const limits = limitsInDegrees(device);
  const temperature = readTemperature(device);
  if (limits === undefined || temperature === undefined) return undefined;
  return (
    Math.min(limits.maximum ?? Number.POSITIVE_INFINITY, limits.slowdown ?? Number.POSITIVE_INFINITY) - temperature
  );
}

function limitsInDegrees(device: DeviceHandle): TemperatureLimits | undefined {
  const at = (threshold: number): number | undefined => {
    const degrees: Out<number> = [0];
    return device.ask("nvmlDeviceGetTemperatureThreshold", threshold, degrees) ? degrees[0] : undefined;
  };
  const slowdown = at(THRESHOLD.slowdown);
  const maximum = at(THRESHOLD.maximum);
  if (slowdown === undefined && maximum === undefined) return undefined;
  return { unit: "degrees", maximum, slowdown, shutdown: at(THRESHOLD.shutdown) };
}

function limitsAsMargins(device: DeviceHandle): TemperatureLimits | undefined {
  const fields = [TLIMIT_FIELD.maximum, TLIMIT_FIELD.slowdown, TLIMIT_FIELD.shutdown].map(emptyField);
  if (!device.ask("nvmlDeviceGetFieldValues", fields.length, fields)) return undefined;
  // The call puts new objects into the array.
  const [maximum, slowdown, shutdown] = fields.map(({ nvmlReturn, value }) =>
    nvmlReturn === NVML_SUCCESS ? value : undefined,
  );
  if (maximum === undefined && slowdown === undefined && shutdown === undefined) return undefined;
  return { unit: "margin", maximum, slowdown, shutdown };
}

function emptyField(fieldId: number): FieldValue {
  const nothing = { scopeId: 0, timestamp: 0, latencyUsec: 0, valueType: 0, nvmlReturn: 0, value: 0, valueHigh: 0 };
  return { fieldId, ...nothing };
}
