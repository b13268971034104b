/**
 * Follows the telemetry of all containers of the node: `glanced` for each file that the monitor looked at, or `poll` for all
 * without one. Figures are for metrics and the GpuNode; guardrail events go to the recorder as the pod's, once each, also over
 * restarts of the agent.
 *
 * An event stays in its ring until the kubelet has said whose container it is, and as long as the recorder has no room.
 */
import type { EventRecorder } from "@loretoken/kube";
import { type Alive, type Glance, TelemetryReader } from "@loretoken/telemetry";
import type { Holding } from "../holding.ts";
import { type Log, messageOf } from "../log.ts";
import { ContainerTelemetry, type FollowOptions, type RingReport } from "./container-telemetry.ts";
import { guardEvent, lostEvents } from "./guard-events.ts";

export interface WatchOptions {
  holdings: () => readonly Holding[];
  recorder: Pick<EventRecorder, "record">;
  log: Log;
  /** Milliseconds since the epoch. */
  now?: () => number;
  /** Whether a process lives; left out: known only for processes whose fellows told. See HostProcesses. */
  alive?: Alive;
  /**
   * How old figures may become, and how often counters that merely grew are kept on disk; milliseconds. What grew is in the
   * telemetry file too, so that is seldom; rows that come or go, and events, are kept at once.
   */
  figuresEvery?: number;
  saveEvery?: number;
}

export class TelemetryWatch {
  readonly #holdings: () => readonly Holding[];
  readonly #recorder: Pick<EventRecorder, "record">;
  readonly #log: Log;
  readonly #now: () => number;
  readonly #follow: FollowOptions;
  readonly #containers = new Map<string, ContainerTelemetry>();
  /** Said already, by holding. */
  readonly #faults = new Map<string, string>();
  #eventsLost = 0;

  constructor(options: WatchOptions) {
    const { holdings, recorder, log, now = Date.now, alive, figuresEvery = 10_000, saveEvery = 300_000 } = options;
    this.#holdings = holdings;
    this.#recorder = recorder;
    this.#log = log;
    this.#now = now;
    const report = (found: RingReport): boolean => this.#report(found);
    this.#follow = { reader: new TelemetryReader(), report, alive, figuresEvery, saveEvery };
  }

  /** Those that hold memory now. */
  get containers(): readonly ContainerTelemetry[] {
    this.#match();
    return [...this.#containers.values()];
  }

  /** Guardrail events that were overwritten unseen, since the start. */
  get eventsLost(): number {
    return this.#eventsLost;
  }

  /** Goes on with a look that the monitor took; undefined: it could not. Never throws. */
  glanced(holding: Holding, glance: Glance | undefined): void {
    if (!this.#containers.has(holding.id)) this.#match();
    const container = this.#containers.get(holding.id);
    if (container === undefined) return;
    container.holding = holding;
    this.#look(container, () => container.poll(this.#now(), glance));
  }

  /** Looks at each file, in well under a millisecond each. Never throws. */
  poll(): void {
    for (const container of this.containers) this.#look(container, () => container.poll(this.#now()));
  }

  /** Makes figures at most `maxAge` milliseconds old: those of one container, or of all. Never throws. */
  refresh(maxAge: number, containers = this.containers): void {
    for (const container of containers) {
      this.#look(container, () => container.refresh(this.#now(), maxAge));
    }
  }

  /**
   * The last look at a container's file before it is renewed or removed, so that what its programs said at their end is not
   * lost. Never throws.
   */
  readNow(id: string): void {
    const container = this.#containers.get(id);
    if (container !== undefined) this.#look(container, () => container.refresh(this.#now(), 0));
  }

  /** Keeps on disk what a start needs. At the end, after the recorder's flush. Never throws. */
  save(): void {
    for (const container of this.#containers.values()) this.#save(container, true);
  }

  #look(container: ContainerTelemetry, look: () => void): void {
    look();
    this.#tellFault(container);
    this.#save(container, false);
  }

  #save(container: ContainerTelemetry, atOnce: boolean): void {
    try {
      container.save(this.#now(), atOnce);
    } catch (error) {
      this.#log.warn({ allocation: container.holding.id, error: messageOf(error) }, "reporting state not kept");
    }
  }

  #match(): void {
    const holdings = this.#holdings();
    const ids = new Set(holdings.map(({ id }) => id));
    for (const id of this.#containers.keys()) {
      if (ids.has(id)) continue;
      this.#containers.delete(id);
      this.#faults.delete(id);
    }
    for (const holding of holdings) {
      const known = this.#containers.get(holding.id);
      if (known === undefined) this.#containers.set(holding.id, new ContainerTelemetry(holding, this.#follow));
      else known.holding = holding;
    }
  }

  #report({ holding, what, position, settled }: RingReport): boolean {
    const { owner } = holding;
    if (owner === undefined) return false;
    if ("event" in what) return this.#recorder.record(guardEvent(holding, owner, what.event, position), settled);
    const taken = this.#recorder.record(lostEvents(holding, owner, what.lost, position), settled);
    if (taken) {
      this.#eventsLost += what.lost;
      this.#log.warn({ allocation: holding.id, owner, lost: what.lost }, "guardrail events lost");
    }
    return taken;
  }

  #tellFault(container: ContainerTelemetry): void {
    const { fault, holding } = container;
    if (fault?.message === this.#faults.get(holding.id)) return;
    if (fault === undefined) this.#faults.delete(holding.id);
    else {
      this.#faults.set(holding.id, fault.message);
      this.#log.warn({ allocation: holding.id, owner: holding.owner, fault }, "telemetry not readable");
    }
  }
}
