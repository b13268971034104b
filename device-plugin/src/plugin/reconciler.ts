/**
 * Compares what is on record with what the kubelet says its containers hold: learns owners, and removes the files of containers
 * that are gone. What the kubelet says is taken as it is, with three cautions:
 *
 * - Init containers are never listed. One that was never seen is kept while a container that was given its units lives, or
 *   for the grace period.
 * - A kubelet that has just started lists nothing until it has heard from the API server, which may take as long as it likes. A
 *   list without the agent's own pod says nothing about who is gone; without such a pod an owner that this kubelet never
 *   listed is kept for a grace period.
 * - One list without an owner is not enough, two in a row are.
 */
import { setTimeout as sleepFor } from "node:timers/promises";
import type { ContainerDevices, PodList } from "@loretoken/kubelet";
import type { Controls } from "../control/controls.ts";
import type { Holding, Owner } from "../holding.ts";
import { type Log, messageOf } from "../log.ts";
import type { Observer } from "../observer.ts";
import type { Allocation } from "../store/record.ts";
import type { Store } from "../store/store.ts";
import { unitSet } from "../units/ids.ts";
import type { Ledger } from "../units/ledger.ts";

export interface ReconcilerOptions {
  readonly ledger: Ledger;
  readonly store: Store;
  readonly controls: Controls;
  readonly listPods: () => Promise<PodList>;
  /**
   * The agent's own pod, `<namespace>/<name>`, which the kubelet knows from the API server: a list that has it has all. Undefined
   * if the agent runs in none.
   */
  readonly ownPod: string | undefined;
  /** The pod's UID, which the kubelet's interface does not tell; "" if it is not known. */
  readonly podUid: (namespace: string, pod: string) => Promise<string>;
  /** Milliseconds that an allocation is kept whose container was not listed. */
  readonly grace: number;
  readonly observer: Required<Observer>;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** What is offered may have changed. */
  readonly changed: () => void;
  /** Asked between the steps of a round. */
  readonly giveWay: () => Promise<void>;
  readonly sleep?: (milliseconds: number) => Promise<unknown>;
}

const uidMilliseconds = 2000;

function wait(milliseconds: number): Promise<unknown> {
  return sleepFor(milliseconds, undefined, { ref: false });
}

/** What is known of a holding beside what is on disk. */
interface Trace {
  shim: string;
  /** Lists in a row without it. */
  absences: number;
  /** When it was first missed. */
  absentSince: number;
  /** The kubelet's start since which it was listed. */
  seenIn: number;
}

export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #traces = new Map<string, Trace>();
  #kubelet = 0;
  #failing = false;
  /** The API server did not answer in this round: it is not asked for every pod. */
  #noUids = false;
  /** Records that were damaged when the agent started: until the kubelet has said who holds what, nobody knows their units. */
  #damaged = 0;
  /** Containers without a record, by name, and how many lists in a row were without them. */
  readonly #unrecorded = new Map<string, { ids: readonly string[]; absences: number }>();

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  /** Takes up what was on disk. @param damaged how many records there could not be understood. */
  adopt(allocations: readonly Allocation[], damaged = 0): void {
    this.#damaged = damaged;
    for (const { holding, shim } of allocations) {
      this.#options.ledger.put(holding);
      this.#traces.set(holding.id, newTrace(shim));
    }
  }

  /** Why no unit can be told to be free now; "" if they can. */
  get doubt(): string {
    if (this.#damaged === 0) return "";
    return (
      `${this.#damaged} allocations on this node's disk were damaged, and the kubelet has not said yet which units their ` +
      "containers have"
    );
  }

  /** An allocation that was made now. */
  made(id: string, shim: string): void {
    this.#traces.set(id, newTrace(shim));
  }

  /** Versions of the shim that containers have mounted. */
  shimsInUse(): Set<string> {
    return new Set([...this.#traces.values()].map(({ shim }) => shim));
  }

  /** The kubelet was started anew: what it lists is not all there is for a while. */
  kubeletStarted(): void {
    this.#kubelet += 1;
  }

  /** One comparison. Throws nothing: without an answer of the kubelet all stays as it is. */
  async round(): Promise<void> {
    const { ledger, listPods, ownPod, now, log, changed } = this.#options;
    const asked = now();
    let list: PodList;
    try {
      list = await listPods();
    } catch (error) {
      if (!this.#failing) log.warn({ error: messageOf(error) }, "kubelet does not say who holds what");
      this.#failing = true;
      return;
    }
    if (this.#failing) log.info({}, "kubelet says again who holds what");
    this.#failing = false;
    this.#noUids = false;
    const settled = ledger.holdings().filter(({ allocatedAt }) => allocatedAt < asked);
    const owners = match(settled, list.containers);
    const lived = livingWith(settled, owners);
    const complete = ownPod === undefined ? undefined : list.pods.has(ownPod);
    if (complete !== false) this.#findUnrecorded(list.containers);
    for (const holding of settled) {
      const owner = owners.get(holding.id);
      if (owner !== undefined) await this.#seen(holding, owner);
      else if (!lived.has(holding.id) && complete !== false) await this.#missed(holding, asked, complete);
    }
    changed();
  }

  /** Containers that have units and no record here: it was damaged, or the folder was emptied. */
  #findUnrecorded(listed: readonly ContainerDevices[]): void {
    const { ledger, log } = this.#options;
    const recorded = new Set(ledger.holdings().map(({ units }) => units.join()));
    const found = new Map(
      listed.filter(({ ids }) => !recorded.has(unitSet(ids))).map((container) => [nameOf(container), container]),
    );
    for (const [name, { namespace, pod, container, ids }] of found) {
      if (this.#unrecorded.has(name)) continue;
      const owner = { namespace, pod, container };
      log.warn({ owner, units: ids.length }, "container without an allocation on record");
    }
    for (const [name, known] of this.#unrecorded) {
      known.absences += 1;
      if (known.absences >= 2) this.#unrecorded.delete(name);
    }
    for (const [name, { ids }] of found) this.#unrecorded.set(name, { ids, absences: 0 });
    ledger.setUnrecorded([...this.#unrecorded].map(([name, { ids }]) => ({ name, ids })));
    this.#damaged = 0;
  }

  async #seen(holding: Holding, { namespace, pod, container }: ContainerDevices): Promise<void> {
    const { ledger, store, log, giveWay } = this.#options;
    const trace = this.#trace(holding.id);
    trace.absences = 0;
    trace.seenIn = this.#kubelet;
    const known = holding.owner;
    if (known?.namespace === namespace && known.pod === pod && known.container === container && known.podUid !== "")
      return;
    const owner: Owner = { namespace, pod, container, podUid: await this.#uidOf(namespace, pod) };
    if (known !== undefined && known.pod === pod && known.container === container && owner.podUid === "") return;
    if (!ledger.has(holding.id)) return; // taken back meanwhile
    const owned = { ...holding, owner };
    ledger.put(owned);
    await giveWay();
    try {
      await store.update({ holding: owned, shim: trace.shim });
      log.info({ allocation: holding.id, owner }, "allocation's owner known");
    } catch (error) {
      log.error({ allocation: holding.id, error: messageOf(error) }, "allocation's owner not kept");
    }
  }

  /** "" where the API server does not say in time; the next round asks again. */
  async #uidOf(namespace: string, pod: string): Promise<string> {
    if (this.#noUids) return "";
    const { podUid, sleep = wait } = this.#options;
    const late = sleep(uidMilliseconds).then(() => Promise.reject(new Error("no answer in time")));
    try {
      return await Promise.race([podUid(namespace, pod), late]);
    } catch (error) {
      this.#noUids = true;
      this.#options.log.debug({ error: messageOf(error) }, "pod's UID not known");
      return "";
    } finally {
      late.catch(() => undefined);
    }
  }

  async #missed(holding: Holding, at: number, complete: boolean | undefined): Promise<void> {
    const trace = this.#trace(holding.id);
    if (trace.absences === 0) trace.absentSince = at;
    trace.absences += 1;
    if (trace.absences < 2) return;
    const sure = holding.owner !== undefined && (complete === true || trace.seenIn === this.#kubelet);
    const since = holding.owner === undefined ? holding.allocatedAt : trace.absentSince;
    if (sure || at - since >= this.#options.grace) await this.#release(holding);
  }

  async #release(holding: Holding): Promise<void> {
    const { ledger, store, controls, observer, log, giveWay } = this.#options;
    await giveWay();
    observer.releasing(holding);
    try {
      await store.remove(holding.id);
    } catch (error) {
      log.error({ allocation: holding.id, error: messageOf(error) }, "allocation not removed");
      return;
    }
    controls.forget(holding.id);
    ledger.remove(holding.id);
    this.#traces.delete(holding.id);
    log.info({ allocation: holding.id, owner: holding.owner }, "allocation released");
  }

  #trace(id: string): Trace {
    const known = this.#traces.get(id);
    if (known !== undefined) return known;
    const trace = newTrace("");
    this.#traces.set(id, trace);
    return trace;
  }
}

function nameOf({ namespace, pod, container }: ContainerDevices): string {
  return `${namespace}/${pod}/${container}`;
}

function newTrace(shim: string): Trace {
  return { shim, absences: 0, absentSince: 0, seenIn: -1 };
}

/** Whose a holding is: the container that has just these units. Of several the newest: the others are of before. */
function match(holdings: readonly Holding[], listed: readonly ContainerDevices[]): Map<string, ContainerDevices> {
  const byUnits = new Map(listed.map((container) => [unitSet(container.ids), container]));
  const owners = new Map<string, ContainerDevices>();
  for (const { id, units } of holdings.toReversed()) {
    const container = byUnits.get(units.join());
    if (container === undefined) continue;
    byUnits.delete(units.join());
    owners.set(id, container);
  }
  return owners;
}

/** Holdings of nobody known that share units with a newer one that has an owner now. */
function livingWith(holdings: readonly Holding[], owners: ReadonlyMap<string, unknown>): Set<string> {
  const newest = new Map<string, number>();
  for (const { id, units, allocatedAt } of holdings) {
    if (owners.has(id)) for (const unit of units) newest.set(unit, allocatedAt);
  }
  const living = holdings.filter(
    ({ id, owner, units, allocatedAt }) =>
      owner === undefined && !owners.has(id) && units.some((unit) => (newest.get(unit) ?? -1) >= allocatedAt),
  );
  return new Set(living.map(({ id }) => id));
}
