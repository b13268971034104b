/**
 * Who holds what on this node's GPUs, and what may still be given. Everything in memory and in one place; what must outlive the
 * agent is the store's. Nothing here waits, so a plan and its entry are one step. What follows from it (standings, the list for the
 * kubelet) is worked out when it is asked for and kept until something changes: it is asked for in every round.
 */
import { formatBytes } from "../config/size.ts";
import type { Holding } from "../holding.ts";
import { Card, type Gpu, type GpuStanding, type Health, type OfferedUnit, type ShareSettings } from "./card.ts";
import { AllocationError } from "./errors.ts";
import { type Claim, GpuHoldings } from "./gpu-holdings.ts";
import { inOrder, parseUnitId, unitBytes } from "./ids.ts";
import { groups } from "./prefer.ts";
import { committed, guaranteeOf } from "./shares.ts";

export type { Gpu, GpuStanding, Health, OfferedUnit } from "./card.ts";

/** What a container would get. */
export interface Plan {
  readonly gpu: Gpu;
  readonly units: string[];
  readonly guaranteed: bigint;
  readonly virtualSize: bigint;
  /** Others that have some of these units. Only the kubelet knows whether they still live. */
  readonly rivals: Claim[];
}

export class Ledger {
  readonly #cards = new Map<string, Card>();
  readonly #holdings = new Map<string, Holding>();
  readonly #onGpus = new Map<string, GpuHoldings>();
  #settings: ShareSettings;
  /** Oldest first; undefined: to be sorted. */
  #inOrder: readonly Holding[] | undefined;
  #offered: { readonly parts: readonly (readonly OfferedUnit[])[]; readonly all: readonly OfferedUnit[] } | undefined;

  constructor(settings: ShareSettings) {
    this.#settings = settings;
  }

  /** A changed expansion changes what is offered; what is held stays as it is. */
  set settings(settings: ShareSettings) {
    this.#settings = settings;
  }

  /** A card that is known already keeps its health. */
  addGpu(gpu: Gpu, health: Health = { state: "healthy" }): void {
    const known = this.#cards.get(gpu.uuid);
    if (known === undefined) this.#cards.set(gpu.uuid, new Card(gpu, health, this.#on(gpu.uuid)));
    else known.gpu = gpu;
  }

  setHealth(uuid: string, health: Health): void {
    const card = this.#cards.get(uuid);
    if (card !== undefined) card.health = health;
  }

  /** Undefined for a card that is not known. */
  healthOf(uuid: string): Health | undefined {
    return this.#cards.get(uuid)?.health;
  }

  setStrangers(uuid: string, bytes: bigint): void {
    const card = this.#cards.get(uuid);
    if (card !== undefined) card.strangers = bytes;
  }

  /** Enters an allocation, or what has changed of it. */
  put(holding: Holding): void {
    this.#holdings.set(holding.id, holding);
    this.#on(holding.gpuUuid).put(holding);
    this.#inOrder = undefined;
  }

  remove(id: string): void {
    const holding = this.#holdings.get(id);
    if (holding === undefined) return;
    this.#holdings.delete(id);
    this.#on(holding.gpuUuid).remove(id);
    this.#inOrder = undefined;
  }

  /**
   * Containers that run here, by the kubelet's word, and of which no record is left: their units are not free, and they are counted as
   * promised what so many units are promised now. In the place of those of before.
   */
  setUnrecorded(containers: readonly { readonly name: string; readonly ids: readonly string[] }[]): void {
    for (const card of this.#cards.values()) {
      const { capacity, uuid, slot } = card.standing(this.#settings);
      this.#on(uuid).unrecorded = containers.flatMap(({ name: id, ids }) => {
        const units = groups(ids).get(slot) ?? [];
        return units.length === 0 ? [] : [{ id, units, guaranteed: guaranteeOf(capacity, units.length) }];
      });
    }
  }

  has(id: string): boolean {
    return this.#holdings.has(id);
  }

  /** Oldest first. */
  holdings(): readonly Holding[] {
    this.#inOrder ??= [...this.#holdings.values()].sort((a, b) => a.allocatedAt - b.allocatedAt);
    return this.#inOrder;
  }

  gpus(): GpuStanding[] {
    return this.#inSlots().map((card) => card.standing(this.#settings));
  }

  /** The whole list for the kubelet, in order. The same object as long as it is the same list. */
  offered(): readonly OfferedUnit[] {
    const parts = this.#inSlots().map((card) => card.units(this.#settings));
    const before = this.#offered;
    if (before?.parts.length === parts.length && parts.every((part, index) => part === before.parts[index])) {
      return before.all;
    }
    this.#offered = { parts, all: parts.flat() };
    return this.#offered.all;
  }

  /**
   * What the units would come to. Enters nothing.
   * @param gone who no longer counts, of the rivals.
   * @throws {AllocationError}
   */
  plan(ids: readonly string[], gone: ReadonlySet<string> = new Set()): Plan {
    const units = inOrder(new Set(ids));
    const standing = this.#cardOf(units).standing(this.#settings);
    this.#checkOffered(standing, units);
    if (standing.health.state === "unhealthy") {
      throw new AllocationError("GpuUnhealthy", `GPU ${describe(standing)} is unhealthy: ${standing.health.cause}`, {
        gpuUuid: standing.uuid,
      });
    }
    const wanted = new Set(units);
    const rivals = this.#on(standing.uuid).claims.filter(
      (claim) => !gone.has(claim.id) && claim.units.some((id) => wanted.has(id)),
    );
    const guaranteed = guaranteeOf(standing.capacity, units.length);
    this.#checkBacked(standing, { units, guaranteed }, gone);
    return { gpu: standing, units, guaranteed, virtualSize: BigInt(units.length) * unitBytes, rivals };
  }

  #cardOf(units: readonly string[]): Card {
    const bySlot = groups(units);
    const strange = units.filter((id) => parseUnitId(id) === undefined);
    if (strange.length > 0 || units.length === 0) {
      const what =
        units.length === 0 ? "no units were named" : `no units of this node: ${strange.slice(0, 5).join(", ")}`;
      throw new AllocationError("UnknownUnit", `${what}; a unit is named <GPU>-<number>, as 0-17`);
    }
    if (bySlot.size > 1) throw this.#scattered(bySlot, units.length);
    const [slot] = bySlot.keys();
    const card = [...this.#cards.values()].find(({ gpu }) => gpu.slot === slot);
    if (card !== undefined) return card;
    const known = this.gpus().map((gpu) => gpu.slot);
    throw new AllocationError(
      "UnknownUnit",
      `there is no GPU ${slot} on this node; GPUs are ${known.join(", ") || "none"}`,
    );
  }

  #scattered(bySlot: ReadonlyMap<number, string[]>, count: number): AllocationError {
    const parts = [...bySlot].map(([slot, ids]) => `${ids.length} on GPU ${slot}`).join(", ");
    const free = this.gpus()
      .filter(({ health }) => health.state === "healthy")
      .map(({ slot, offered, held }) => ({ slot, free: offered.length - held }));
    const list = free.map(({ slot, free: units }) => `GPU ${slot}: ${units}`).join(", ");
    const most = Math.max(0, ...free.map(({ free: units }) => units));
    return new AllocationError(
      "UnitsOnSeveralGpus",
      `a container lives on one GPU, but no GPU has ${count} units free together: the kubelet chose ${parts}. ` +
        `Free units: ${list || "none"}; a container that asks for ${most} or fewer fits now`,
    );
  }

  #checkOffered({ slot, offered, capacity, uuid }: GpuStanding, units: readonly string[]): void {
    const known = new Set(offered);
    const unknown = units.filter((id) => !known.has(parseUnitId(id)?.unit ?? -1));
    if (unknown.length === 0) return;
    throw new AllocationError(
      "UnknownUnit",
      `not offered: ${unknown.slice(0, 5).join(", ")}${unknown.length > 5 ? ", …" : ""}; ` +
        `GPU ${slot} offers ${offered.length} of ${capacity.units} units now`,
      { gpuUuid: uuid },
    );
  }

  /** Guarantees of others, and memory that strangers use, may have left less than this one's. */
  #checkBacked(
    gpu: GpuStanding,
    wanted: { readonly units: readonly string[]; readonly guaranteed: bigint },
    gone: ReadonlySet<string>,
  ): void {
    const others = this.#on(gpu.uuid).claims.filter(({ id }) => !gone.has(id));
    const room = gpu.capacity.usable - gpu.strangers;
    if (committed([...others, wanted]) <= room) return;
    throw new AllocationError(
      "NotEnoughMemory",
      `GPU ${describe(gpu)} cannot guarantee ${formatBytes(wanted.guaranteed)}: of ${formatBytes(gpu.capacity.usable)} ` +
        `${formatBytes(committed(others))} are promised to containers and ${formatBytes(gpu.strangers)} are used by ` +
        "processes outside of them",
      { gpuUuid: gpu.uuid },
    );
  }

  #inSlots(): Card[] {
    return [...this.#cards.values()].sort((a, b) => a.gpu.slot - b.gpu.slot);
  }

  #on(uuid: string): GpuHoldings {
    const known = this.#onGpus.get(uuid) ?? new GpuHoldings();
    this.#onGpus.set(uuid, known);
    return known;
  }
}

function describe({ slot, uuid }: Gpu): string {
  return `${slot} (${uuid})`;
}
