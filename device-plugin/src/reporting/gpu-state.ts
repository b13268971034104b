/** A GPU of the node as it is reported. */
import type { GpuState as MonitoredGpu } from "../monitor/monitor.ts";
import { unitBytes } from "../units/ids.ts";

export interface GpuState {
  /** As in device IDs, `<index>-<unit>`. */
  readonly index: number;
  readonly uuid: string;
  readonly model: string;
  readonly health: { readonly state: "healthy" } | { readonly state: "unhealthy"; readonly cause: string };
  /** Bytes of the card. */
  readonly physical: bigint;
  /** Bytes that all its containers together may be told they have. */
  readonly virtual: bigint;
  /** Units offered to the kubelet, those held included. */
  readonly units: number;
  readonly allocatedUnits: number;
  /** Bytes kept for containers. */
  readonly guaranteed: bigint;
  /** Degrees Celsius, to the card's own slowdown for the margin; watts. Left out: the card does not say. */
  readonly temperature?: number | undefined;
  readonly marginToSlowdown?: number | undefined;
  readonly power?: number | undefined;
  readonly powerLimit?: number | undefined;
}

export function reportedGpu(gpu: MonitoredGpu): GpuState {
  const { reading } = gpu;
  return {
    index: gpu.slot,
    uuid: gpu.uuid,
    model: gpu.name,
    health: gpu.health,
    physical: gpu.physical,
    virtual: BigInt(gpu.capacity.units) * unitBytes,
    units: gpu.offered.length,
    allocatedUnits: gpu.held,
    guaranteed: gpu.guaranteed,
    temperature: reading?.temperature,
    marginToSlowdown: reading?.marginToSlowdown,
    power: watts(reading?.powerMilliwatts),
    powerLimit: watts(reading?.powerLimitMilliwatts),
  };
}

function watts(milliwatts: number | undefined): number | undefined {
  return milliwatts === undefined ? undefined : milliwatts / 1000;
}
