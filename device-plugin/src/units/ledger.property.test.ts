/** Whatever happens in whatever order, these hold: no unit twice, guarantees within the card, a running container keeps its own. */
import assert from "node:assert/strict";
import test from "node:test";
import type { Holding } from "../holding.ts";
import { GiB, gpuOf, uuidOf } from "../testing/fixtures.ts";
import { type Random, randomOf, seeds } from "../testing/random.ts";
import { AllocationError } from "./errors.ts";
import { type GpuStanding, type Health, Ledger } from "./ledger.ts";
import { groups, preferUnits } from "./prefer.ts";

const steps = 150;
const reserve = { permille: 40 };

/** A node as the kubelet and its users treat it. */
class Node {
  readonly random: Random;
  readonly sizes: bigint[];
  readonly health = new Map<string, Health>();
  expansion = 1.5;
  ledger: Ledger;
  /** Containers that run, by holding, with what they were promised. */
  readonly running = new Map<string, { units: readonly string[]; guaranteed: bigint }>();
  /** Init containers that are done: the kubelet keeps their units for the pod, whose containers get them first. */
  readonly #done = new Map<string, readonly string[]>();
  #next = 0;

  constructor(random: Random) {
    this.random = random;
    this.sizes = Array.from({ length: random.between(1, 4) }, () => BigInt(random.between(4, 48)) * GiB + 12_345n);
    this.ledger = this.#fresh([]);
  }

  #fresh(holdings: readonly Holding[]): Ledger {
    const ledger = new Ledger({ expansion: this.expansion, reserve });
    for (const [slot, physical] of this.sizes.entries()) {
      ledger.addGpu(gpuOf(slot, physical), this.health.get(uuidOf(slot)));
    }
    for (const holding of holdings) ledger.put(holding);
    return ledger;
  }

  free(): string[] {
    const running = [...this.running.values()].flatMap(({ units }) => units);
    const taken = new Set([...running, ...[...this.#done.values()].flat()]);
    return this.ledger.offered().flatMap(({ id, healthy }) => (healthy && !taken.has(id) ? [id] : []));
  }

  allocate(reused: readonly string[] = []): Holding | undefined {
    const free = this.free();
    const size = this.random.between(1, Math.max(1, Math.min(40, free.length)));
    const must = reused.slice(0, size);
    if (free.length < size - must.length) return undefined;
    const ids = preferUnits({ available: [...free, ...must], must, size });
    try {
      const { gpu, units, guaranteed, virtualSize } = this.ledger.plan(ids);
      const id = `h${this.#next}`;
      this.#next += 1;
      const files = { telemetry: `/x/${id}/telemetry`, control: `/x/${id}/control` };
      const holding = { id, gpuUuid: gpu.uuid, units, guaranteed, virtualSize, allocatedAt: this.#next, ...files };
      this.ledger.put(holding);
      this.running.set(id, { units, guaranteed });
      return holding;
    } catch (error) {
      assert.ok(error instanceof AllocationError, String(error));
      this.#refusedRightly(error, free, ids, reused);
      return undefined;
    }
  }

  /** Units that were offered as free and healthy are only refused if no GPU has so many, or strangers came. */
  #refusedRightly(error: AllocationError, free: string[], ids: string[], reused: readonly string[]): void {
    if (reused.length > 0) return;
    assert.equal(error.reason, "UnitsOnSeveralGpus", error.message);
    for (const [, units] of groups(free)) assert.ok(units.length < ids.length, error.message);
  }

  /** An init container and then a container that is given its units first. */
  allocatePod(): void {
    const init = this.allocate();
    if (init === undefined) return;
    this.running.delete(init.id);
    this.#done.set(init.id, init.units);
    if (this.allocate(init.units) === undefined) this.#forget(init.id);
  }

  end(): void {
    if (this.running.size === 0) return;
    const id = this.random.pick([...this.running.keys()]);
    const units = new Set(this.running.get(id)?.units);
    this.running.delete(id);
    this.ledger.remove(id);
    for (const { id: other, units: shared } of this.ledger.holdings()) {
      if (this.#done.has(other) && shared.some((unit) => units.has(unit))) this.#forget(other);
    }
  }

  #forget(init: string): void {
    this.#done.delete(init);
    this.ledger.remove(init);
  }

  restart(): void {
    const strangers = this.ledger.gpus().map(({ uuid, strangers: bytes }) => [uuid, bytes] as const);
    this.ledger = this.#fresh(this.ledger.holdings().map((holding) => structuredClone(holding)));
    for (const [uuid, bytes] of strangers) this.ledger.setStrangers(uuid, bytes);
  }

  resize(): void {
    this.expansion = this.random.between(1000, 8000) / 1000;
    this.ledger.settings = { expansion: this.expansion, reserve };
  }

  turnHealth(): void {
    const uuid = uuidOf(this.random.between(0, this.sizes.length - 1));
    const ill = this.health.get(uuid)?.state !== "unhealthy";
    const health: Health = ill ? { state: "unhealthy", cause: "XID 79" } : { state: "healthy" };
    this.health.set(uuid, health);
    this.ledger.setHealth(uuid, health);
  }

  strange(): void {
    const slot = this.random.between(0, this.sizes.length - 1);
    const size = this.sizes[slot] ?? 0n;
    this.ledger.setStrangers(uuidOf(slot), (size * BigInt(this.random.pick([0, 0, 100, 500]))) / 1000n);
  }

  check(): void {
    const given = [...this.running.values()].flatMap(({ units }) => units);
    assert.equal(new Set(given).size, given.length, "a unit is given twice");
    const offered = new Set(this.ledger.offered().map(({ id }) => id));
    for (const id of given) assert.ok(offered.has(id), `${id} is held and not offered`);
    for (const [id, { units, guaranteed }] of this.running) {
      const kept = this.ledger.holdings().find((holding) => holding.id === id);
      assert.deepEqual([kept?.units, kept?.guaranteed], [units, guaranteed], `${id} lost what it was promised`);
    }
    const free = groups(this.free());
    for (const gpu of this.ledger.gpus()) this.#checkGpu(gpu, free.get(gpu.slot) ?? []);
  }

  #checkGpu(gpu: GpuStanding, free: readonly string[]): void {
    const { slot } = gpu;
    const mine = [...this.running.values()].filter(({ units }) => units[0]?.startsWith(`${slot}-`));
    const sum = mine.reduce((total, { guaranteed }) => total + guaranteed, 0n);
    assert.ok(sum <= gpu.capacity.usable, `GPU ${slot}: ${sum} promised of ${gpu.capacity.usable}`);
    assert.ok(gpu.guaranteed <= gpu.capacity.usable, `GPU ${slot}: the books say ${gpu.guaranteed}`);
    assert.ok(gpu.offered.length <= Math.max(gpu.capacity.units, gpu.held), `GPU ${slot} offers ${gpu.offered.length}`);
    if (free.length > 0) assert.ok(this.ledger.plan(free).guaranteed >= 0n, "all that is offered can be backed");
  }
}

test("no unit twice, guarantees within the card, every running container keeps its guarantee", (t) => {
  for (const seed of seeds(12)) {
    t.diagnostic(`seed ${seed}`);
    const node = new Node(randomOf(seed));
    const ways = [
      () => node.allocate(),
      () => node.allocate(),
      () => node.allocatePod(),
      () => node.end(),
      () => node.end(),
      () => node.restart(),
      () => node.resize(),
      () => node.turnHealth(),
      () => node.strange(),
    ];
    for (let step = 0; step < steps; ++step) {
      try {
        node.random.pick(ways)();
        node.check();
      } catch (error) {
        throw new Error(`seed ${seed}, step ${step}: ${error instanceof Error ? error.message : error}`, {
          cause: error,
        });
      }
    }
  }
});
