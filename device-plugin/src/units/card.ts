/**
 * One GPU as it stands, and its part of the list for the kubelet: worked out when asked for, and kept until something changes. It is
 * asked for in every round.
 */
import type { Size } from "../config/size.ts";
import type { GpuHoldings, HeldSum } from "./gpu-holdings.ts";
import { unitId } from "./ids.ts";
import { type Capacity, capacityOf, unitsBackedBy } from "./shares.ts";

/** A card as it is. */
export interface Gpu {
  readonly slot: number;
  readonly uuid: string;
  readonly name: string;
  /** Bytes. */
  readonly physical: bigint;
  readonly numaNode?: number | undefined;
}

export type Health = { readonly state: "healthy" } | { readonly state: "unhealthy"; readonly cause: string };

/** A card as it stands. */
export interface GpuStanding extends Gpu {
  readonly health: Health;
  readonly capacity: Capacity;
  /** Unit numbers offered to the kubelet: those held, and the free ones that can be backed. */
  readonly offered: readonly number[];
  readonly held: number;
  /** Physical bytes guaranteed to containers. */
  readonly guaranteed: bigint;
  /** Physical bytes that processes outside all our containers use. */
  readonly strangers: bigint;
}

export interface OfferedUnit {
  readonly id: string;
  readonly gpu: Gpu;
  readonly healthy: boolean;
}

/** How every card is shared out. */
export interface ShareSettings {
  readonly expansion: number;
  readonly reserve: Size;
}

interface Inputs {
  readonly gpu: Gpu;
  readonly health: Health;
  readonly strangers: bigint;
  readonly sum: HeldSum;
  readonly settings: ShareSettings;
}

export class Card {
  gpu: Gpu;
  health: Health;
  /** Bytes. */
  strangers = 0n;
  readonly #holdings: GpuHoldings;
  #standing: { readonly of: Inputs; readonly is: GpuStanding } | undefined;
  #units: { readonly of: GpuStanding; readonly is: readonly OfferedUnit[] } | undefined;

  constructor(gpu: Gpu, health: Health, holdings: GpuHoldings) {
    this.gpu = gpu;
    this.health = health;
    this.#holdings = holdings;
  }

  /** The same object as long as nothing has changed. */
  standing(settings: ShareSettings): GpuStanding {
    const { gpu, health, strangers } = this;
    const inputs = { gpu, health, strangers, sum: this.#holdings.sum, settings };
    if (this.#standing === undefined || !same(this.#standing.of, inputs)) {
      this.#standing = { of: inputs, is: standingOf(inputs) };
    }
    return this.#standing.is;
  }

  /** The same object as long as the kubelet would see no difference. */
  units(settings: ShareSettings): readonly OfferedUnit[] {
    const standing = this.standing(settings);
    const before = this.#units;
    if (before?.of === standing) return before.is;
    const { slot, offered, health } = standing;
    const healthy = health.state === "healthy";
    const list = (): OfferedUnit[] => offered.map((unit) => ({ id: unitId(slot, unit), gpu: this.gpu, healthy }));
    this.#units = { of: standing, is: before !== undefined && sameOffer(before.of, standing) ? before.is : list() };
    return this.#units.is;
  }
}

function same(a: Inputs, b: Inputs): boolean {
  return (
    a.gpu === b.gpu &&
    a.health === b.health &&
    a.strangers === b.strangers &&
    a.sum === b.sum &&
    a.settings === b.settings
  );
}

function standingOf({ gpu, health, strangers, sum: { taken, guaranteed }, settings }: Inputs): GpuStanding {
  const capacity = capacityOf(gpu.physical, settings.expansion, settings.reserve);
  const backed = unitsBackedBy(capacity, capacity.usable - strangers - guaranteed);
  const offered = offer(taken, Math.min(capacity.units - taken.size, backed));
  return { ...gpu, health, capacity, offered, held: taken.size, guaranteed, strangers };
}

/** Those taken and the lowest so many others, in order: of a card that offers fewer than before the highest free ones go. */
function offer(taken: ReadonlySet<number>, free: number): number[] {
  const offered = [...taken];
  for (let unit = 0, left = free; left > 0; ++unit) {
    if (taken.has(unit)) continue;
    offered.push(unit);
    --left;
  }
  return offered.sort((a, b) => a - b);
}

function sameOffer(before: GpuStanding, now: GpuStanding): boolean {
  return (
    before.slot === now.slot &&
    before.numaNode === now.numaNode &&
    before.health.state === now.health.state &&
    before.offered.length === now.offered.length &&
    before.offered.every((unit, index) => unit === now.offered[index])
  );
}
