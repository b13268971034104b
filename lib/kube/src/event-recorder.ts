/**
 * Kubernetes Events for whoever has something to tell about an object. Recording never waits and never fails because of the
 * API server: events wait in bounded memory and are delivered in order once it answers; equal ones are counted in one
 * object; each is counted once, over lost answers and, if it has a mark, over restarts of this program.
 *
 *   const recorder = new EventRecorder({ client, reporter: { component: "loretoken", instance: node } });
 *   const running = recorder.run(signal);
 *   recorder.record({ regarding, type: "Warning", reason: "XidError", message: "…" });
 */
import { Backoff } from "./backoff.ts";
import type { Client } from "./client.ts";
import { type Clock, systemClock } from "./clock.ts";
import { hasCode, isTransient } from "./errors.ts";
import type { EventInput } from "./event-objects.ts";
import { EventPace, type PaceOptions } from "./event-pace.ts";
import { EventQueue, type Outcome, type Waiting } from "./event-queue.ts";
import { EventWriter, type Reporter } from "./event-writer.ts";
import { retryAfterOf } from "./retry.ts";

export interface RecorderLog {
  warn(values: object, message: string): void;
}

export interface RecorderOptions {
  client: Client;
  reporter: Reporter;
  clock?: Clock;
  random?: () => number;
  /** Series that may wait. */
  mostSeries?: number;
  pace?: PaceOptions;
  log?: RecorderLog;
}

/** Since the start, but for `waiting`. */
export interface RecorderFigures {
  waiting: number;
  delivered: number;
  refused: number;
  /** Not kept because the queue was full. */
  rejected: number;
  /** Requests that had to be repeated. */
  retries: number;
}

export class EventRecorder {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #queue: EventQueue;
  readonly #pace: EventPace;
  readonly #writer: EventWriter;
  readonly #backoff: Backoff;
  readonly #log: RecorderLog | undefined;
  readonly #figures = { delivered: 0, refused: 0, rejected: 0, retries: 0 };
  #wake = new AbortController();

  constructor(options: RecorderOptions) {
    const { client, reporter, clock = systemClock, random = Math.random, mostSeries = 1000, pace, log } = options;
    this.#clock = clock;
    this.#random = random;
    this.#queue = new EventQueue(mostSeries);
    this.#pace = new EventPace(pace);
    this.#writer = new EventWriter(client, reporter);
    this.#backoff = new Backoff({ random });
    this.#log = log;
  }

  /**
   * @param settled told when the event is on the API server, or never will be
   * @returns false if the queue is full; whoever still has the event elsewhere comes back later
   */
  record(input: EventInput, settled?: (outcome: Outcome) => void): boolean {
    const now = this.#clock.now();
    const time = Math.min(input.time ?? now, now);
    const kept = this.#queue.add(input, { time, mark: input.mark, settled });
    if (kept) this.#wake.abort();
    else ++this.#figures.rejected;
    return kept;
  }

  get figures(): RecorderFigures {
    return { waiting: this.#queue.size, ...this.#figures };
  }

  /** Delivers until `signal` aborts. What waits then stays undelivered; see `flush`. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const { entry, readyAt } = this.#first();
      if (entry === undefined) await this.#rest(readyAt, signal);
      else await this.#deliver(entry, signal);
    }
  }

  /** At the end: one try for each waiting series, whatever its pace, until one fails for want of an answer. */
  async flush(signal: AbortSignal): Promise<void> {
    for (const entry of [...this.#queue.entries()]) {
      if (signal.aborted || !(await this.#deliver(entry, signal, false))) return;
    }
  }

  /** The first that may be written now, or when the next may. */
  #first(): { entry?: Waiting; readyAt: number } {
    const now = this.#clock.now();
    let readyAt = Number.POSITIVE_INFINITY;
    for (const entry of this.#queue.entries()) {
      const at = this.#pace.readyAt(entry.key, entry.latest.regarding.uid);
      if (at <= now) return { entry, readyAt: now };
      readyAt = Math.min(readyAt, at);
    }
    return { readyAt };
  }

  /** Until `readyAt` or until something is recorded. */
  async #rest(readyAt: number, signal: AbortSignal): Promise<void> {
    this.#wake = new AbortController();
    const wake = AbortSignal.any([signal, this.#wake.signal]);
    await this.#clock.sleep(Math.max(0, readyAt - this.#clock.now()), wake);
  }

  /** @returns false if there was no answer */
  async #deliver(entry: Waiting, signal: AbortSignal, wait = true): Promise<boolean> {
    entry.write ??= { name: this.#writeName(), count: entry.occurrences.length };
    try {
      await this.#writer.write(entry, signal);
      this.#backoff.reset();
      this.#settle(entry, "delivered");
      return true;
    } catch (error) {
      const { reason, regarding } = entry.latest;
      if (!isTransient(error) && !hasCode(error, 409)) {
        this.#log?.warn({ err: error, reason, regarding }, "event refused by the API server");
        this.#settle(entry, "refused");
        return true;
      }
      if (signal.aborted) return false;
      ++this.#figures.retries;
      this.#log?.warn({ err: error, reason, regarding, waiting: this.#queue.size }, "event not delivered yet");
      // The server stumbles over this one (a webhook for its namespace, say): others need not wait for it.
      if (hasCode(error, 500) || hasCode(error, 409)) this.#queue.defer(entry);
      if (wait) await this.#clock.sleep(this.#backoff.next(retryAfterOf(error)), signal);
      return false;
    }
  }

  #settle(entry: Waiting, outcome: Outcome): void {
    this.#figures[outcome] += entry.write?.count ?? 0;
    this.#pace.spend(entry.key, entry.latest.regarding.uid, this.#clock.now());
    this.#queue.settle(entry, outcome);
  }

  #writeName(): string {
    return Math.floor(this.#random() * 2 ** 48).toString(36);
  }
}
