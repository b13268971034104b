/**
 * Who holds what on this node's GPUs, and what may still be given. Everything in memory and in one place; what must outlive the
 * agent is the store's. Nothing here waits, so a plan and its entry are one step.
 */
import type { Size } from "../config/size.ts";
import { formatBytes } from "../config/size.ts";
import type { Holding } from "../holding.ts";
import { AllocationError } from "./errors.ts";
import { byNumber, parseUnitId, unitBytes, unitId } from "./ids.ts";
import { groups } from "./prefer.ts";
import { type Capacity, capacityOf, committed, guaranteeOf, unitsBackedBy } from "./shares.ts";

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

/** What a container would get. */
export interface Plan {
  readonly gpu: Gpu;
  readonly units: string[];
  readonly guaranteed: bigint;
  readonly virtualSize: bigint;
  /** Others that hold some of these units. Only the kubelet knows whether they still live. */
  readonly rivals: Holding[];
}

export interface OfferedUnit {
  readonly id: string;
  readonly gpu: Gpu;
  readonly healthy: boolean;
}

interface Entry {
  readonly gpu: Gpu;
  health: Health;
  strangers: bigint;
}

export interface LedgerSettings {
  readonly expansion: number;
  readonly reserve: Size;
}

export class Ledger {
  readonly #entries = new Map<string, Entry>();
  readonly #holdings = new Map<string, Holding>();
  #settings: LedgerSettings;

  constructor(settings: LedgerSettings) {
    this.#settings = settings;
  }

  /** A changed expansion changes what is offered; what is held stays as it is. */
  set settings(settings: LedgerSettings) {
    this.#settings = settings;
  }

  /** A card that is known already keeps its health. */
  addGpu(gpu: Gpu, health: Health = { state: "healthy" }): void {
    const known = this.#entries.get(gpu.uuid);
    this.#entries.set(gpu.uuid, known === undefined ? { gpu, health, strangers: 0n } : { ...known, gpu });
  }

  setHealth(uuid: string, health: Health): void {
    const entry = this.#entries.get(uuid);
    if (entry !== undefined) entry.health = health;
  }

  setStrangers(uuid: string, bytes: bigint): void {
    const entry = this.#entries.get(uuid);
    if (entry !== undefined) entry.strangers = bytes;
  }

  /** Enters an allocation, or what has changed of it. */
  put(holding: Holding): void {
    this.#holdings.set(holding.id, holding);
  }

  remove(id: string): void {
    this.#holdings.delete(id);
  }

  /** Oldest first. */
  holdings(): readonly Holding[] {
    return [...this.#holdings.values()].sort((a, b) => a.allocatedAt - b.allocatedAt);
  }

  gpus(): GpuStanding[] {
    return [...this.#entries.values()].map((entry) => this.#standing(entry)).sort((a, b) => a.slot - b.slot);
  }

  /** The whole list for the kubelet, in order. */
  offered(): OfferedUnit[] {
    return this.gpus().flatMap(({ offered, health, ...gpu }) =>
      offered.map((unit) => ({ id: unitId(gpu.slot, unit), gpu, healthy: health.state === "healthy" })),
    );
  }

  /**
   * What the units would come to. Enters nothing.
   * @param gone holdings that no longer count.
   * @throws {AllocationError}
   */
  plan(ids: readonly string[], gone: ReadonlySet<string> = new Set()): Plan {
    const units = [...new Set(ids)].sort(byNumber);
    const entry = this.#entryOf(units);
    const standing = this.#standing(entry);
    this.#checkOffered(standing, units);
    if (standing.health.state === "unhealthy") {
      throw new AllocationError("GpuUnhealthy", `GPU ${describe(standing)} is unhealthy: ${standing.health.cause}`, {
        gpuUuid: standing.uuid,
      });
    }
    const wanted = new Set(units);
    const rivals = this.#on(standing.uuid).filter(
      (holding) => !gone.has(holding.id) && holding.units.some((id) => wanted.has(id)),
    );
    const guaranteed = guaranteeOf(standing.capacity, units.length);
    this.#checkBacked(standing, { units, guaranteed }, gone);
    return { gpu: entry.gpu, units, guaranteed, virtualSize: BigInt(units.length) * unitBytes, rivals };
  }

  #entryOf(units: readonly string[]): Entry {
    const bySlot = groups(units);
    const strange = units.filter((id) => parseUnitId(id) === undefined);
    if (strange.length > 0 || units.length === 0) {
      const what =
        units.length === 0 ? "no units were named" : `no units of this node: ${strange.slice(0, 5).join(", ")}`;
      throw new AllocationError("UnknownUnit", `${what}; a unit is named <GPU>-<number>, as 0-17`);
    }
    if (bySlot.size > 1) throw this.#scattered(bySlot, units.length);
    const [slot] = bySlot.keys();
    const entry = [...this.#entries.values()].find(({ gpu }) => gpu.slot === slot);
    if (entry !== undefined) return entry;
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
    const known = new Set(offered.map((unit) => unitId(slot, unit)));
    const unknown = units.filter((id) => !known.has(id));
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
    const others = this.#on(gpu.uuid).filter(({ id }) => !gone.has(id));
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

  #on(uuid: string): Holding[] {
    return [...this.#holdings.values()].filter(({ gpuUuid }) => gpuUuid === uuid);
  }

  #standing({ gpu, health, strangers }: Entry): GpuStanding {
    const capacity = capacityOf(gpu.physical, this.#settings.expansion, this.#settings.reserve);
    const holdings = this.#on(gpu.uuid);
    const taken = new Set(holdings.flatMap(({ units }) => units.map((id) => parseUnitId(id)?.unit ?? -1)));
    const guaranteed = committed(holdings);
    const backed = unitsBackedBy(capacity, capacity.usable - strangers - guaranteed);
    const offered = offer(taken, Math.min(capacity.units - taken.size, backed));
    return { ...gpu, health, capacity, offered, held: taken.size, guaranteed, strangers };
  }
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

function describe({ slot, uuid }: Gpu): string {
  return `${slot} (${uuid})`;
}
