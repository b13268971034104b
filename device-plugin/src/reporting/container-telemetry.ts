/** One container's telemetry as it is followed: figures of now, counters since ever, events once. */
import {
  type Alive,
  CounterSum,
  type Counters,
  type Glance,
  liveRows,
  type RingPosition,
  readRing,
  type Snapshot,
  TelemetryError,
  type TelemetryEvent,
  type TelemetryFault,
  type TelemetryReader,
  type Usage,
  usageOf,
} from "@loretoken/telemetry";
import type { Holding } from "../holding.ts";
import { DeliveryTracker } from "./delivery-tracker.ts";
import { loadReported, reportedPath, saveReported } from "./reported.ts";

/** Something in the ring that is to be reported. */
export interface RingReport {
  readonly holding: Holding;
  /** The event; or how many were overwritten before they were seen. */
  readonly what: { readonly event: TelemetryEvent } | { readonly lost: number };
  /** Which it is, for good. */
  readonly position: RingPosition;
  readonly settled: () => void;
}

/** @returns false if there is no room now; the event stays in the ring and comes again */
export type ReportSink = (report: RingReport) => boolean;

export interface FollowOptions {
  reader: TelemetryReader;
  report: ReportSink;
  alive: Alive | undefined;
  /** Milliseconds. */
  figuresEvery: number;
  saveEvery: number;
}

/** An event that is unfinished for so long never will be: its process died while it wrote it. */
const abandonedAfter = 5000;

export class ContainerTelemetry {
  holding: Holding;
  usage: Usage = usageOf([]);
  /** Why the file cannot be read; undefined also before the first process of the container. */
  fault: { readonly kind: TelemetryFault | "unreadable"; readonly message: string } | undefined;
  readonly #options: FollowOptions;
  readonly #sum: CounterSum;
  readonly #tracker: DeliveryTracker;
  readonly #path: string;
  #position: RingPosition | undefined;
  #unfinished: { number: number; since: number } | undefined;
  #readAt = Number.NEGATIVE_INFINITY;
  #savedAt = Number.NEGATIVE_INFINITY;
  #saved: { ring: RingPosition | undefined; counted: string } | undefined;
  #changed = false;

  constructor(holding: Holding, options: FollowOptions) {
    this.holding = holding;
    this.#options = options;
    this.#path = reportedPath(holding);
    const { ring, counters } = loadReported(this.#path);
    this.#position = ring;
    this.#tracker = new DeliveryTracker(ring);
    this.#sum = new CounterSum(counters);
    this.#saved = { ring, counted: JSON.stringify(this.#sum.state) };
  }

  /** An event is about a pod by its UID, which comes from the API server and may be late. */
  get #ownerKnown(): boolean {
    return this.holding.owner !== undefined && this.holding.owner.podUid !== "";
  }

  get counters(): Counters {
    return this.#sum.totals;
  }

  /**
   * A look at the header; the whole file if there are events, or if the figures are older than `figuresEvery`.
   * @param glance a look that was just taken
   */
  poll(now: number, glance?: Glance): void {
    this.#guarded(() => {
      if (glance?.fault !== undefined) throw glance.fault;
      const peek = glance ?? this.#options.reader.peek(this.holding.telemetry);
      if (peek === undefined) {
        this.#vanished();
        return;
      }
      const same = peek.inode === this.#position?.inode && peek.eventNext === this.#position.number;
      const events = !same && peek.eventNext > 0 && this.#ownerKnown;
      if (events || now - this.#readAt >= this.#options.figuresEvery) this.#read(now);
    });
  }

  /** Figures that are at most `maxAge` milliseconds old. */
  refresh(now: number, maxAge: number): void {
    if (now - this.#readAt >= maxAge) this.#guarded(() => this.#read(now));
  }

  /** Keeps on disk what changed: positions and ended rows at once, the rest now and then. @throws if the disk does */
  save(now: number, atOnce = false): void {
    const ring = this.#tracker.reached;
    const due = atOnce || now - this.#savedAt >= this.#options.saveEvery;
    if (ring === this.#saved?.ring && !this.#changed && !due) return;
    const state = this.#sum.state;
    const counted = JSON.stringify(state);
    if (ring !== this.#saved?.ring || counted !== this.#saved?.counted) {
      saveReported(this.#path, { ring, counters: state });
    }
    this.#saved = { ring, counted };
    this.#savedAt = now;
    this.#changed = false;
  }

  #guarded(look: () => void): void {
    try {
      look();
    } catch (error) {
      this.usage = usageOf([]);
      const kind = error instanceof TelemetryError ? error.fault : "unreadable";
      this.fault = kind === "unset" ? undefined : { kind, message: (error as Error).message };
    }
  }

  #vanished(): void {
    this.usage = usageOf([]);
    this.fault = undefined;
  }

  #read(now: number): void {
    const { reader, alive } = this.#options;
    const path = this.holding.telemetry;
    const before = this.#position;
    const from = before === undefined ? 1 : Math.max(1, before.number);
    let snapshot = reader.read(path, from);
    if (snapshot === undefined) {
      this.#vanished();
      return;
    }
    // A new ring has events that were left out as known ones.
    if (from > 1 && readRing(snapshot, before).position.epoch !== before?.epoch)
      snapshot = reader.read(path) ?? snapshot;
    this.fault = undefined;
    this.usage = usageOf(liveRows(snapshot, alive));
    this.#changed = this.#sum.update(snapshot.rows) || this.#changed;
    this.#readAt = now;
    if (this.#ownerKnown) this.#report(snapshot, now);
  }

  #report(snapshot: Snapshot, now: number): void {
    const patience = this.#unfinished;
    const abandoned = patience !== undefined && now - patience.since >= abandonedAfter ? patience.number : undefined;
    const reading = readRing(snapshot, this.#position, abandoned);
    const { epoch, inode } = reading.position;
    // A new ring is kept on disk as such before anything of it is delivered: marks must not start over.
    if (epoch !== this.#position?.epoch) this.#tracker.begin({ epoch, inode, number: 0, realtime: 0 }).settled();
    if (reading.unfinished === undefined) this.#unfinished = undefined;
    else if (reading.unfinished !== patience?.number) this.#unfinished = { number: reading.unfinished, since: now };
    if (reading.lost > 0) {
      const number = (reading.events[0]?.number ?? reading.position.number + 1) - 1;
      if (!this.#hand({ lost: reading.lost }, { epoch, inode, number, realtime: 0 })) return;
    }
    for (const event of reading.events) {
      if (!this.#hand({ event }, { epoch, inode, number: event.number, realtime: event.realtime_ns })) return;
    }
    this.#position = reading.position;
  }

  #hand(what: RingReport["what"], position: RingPosition): boolean {
    const underway = this.#tracker.begin(position);
    const taken = this.#options.report({ holding: this.holding, what, position, settled: underway.settled });
    if (taken) this.#position = position;
    else underway.cancel();
    return taken;
  }
}
