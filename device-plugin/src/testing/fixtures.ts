/** Cards and allocations for tests. */
import type { Holding } from "../holding.ts";
import type { Gpu } from "../units/ledger.ts";

export const GiB = 1n << 30n;

export function uuidOf(slot: number): string {
  return `GPU-5eed0000-0000-0000-0000-${String(slot).padStart(12, "0")}`;
}

export function gpuOf(slot: number, physical = 24n * GiB): Gpu {
  return { slot, uuid: uuidOf(slot), name: "Test GPU", physical };
}

export function holdingOf(id: string, units: string[], changes: Partial<Holding> = {}): Holding {
  return {
    id,
    gpuUuid: uuidOf(Number(units[0]?.split("-")[0] ?? 0)),
    units,
    guaranteed: (BigInt(units.length) * 13n * GiB) / 20n,
    virtualSize: BigInt(units.length) * GiB,
    allocatedAt: 1_000_000,
    telemetry: `/nowhere/${id}/telemetry`,
    control: `/nowhere/${id}/control`,
    ...changes,
  };
}

export function unitsOf(slot: number, from: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${slot}-${from + index}`);
}
