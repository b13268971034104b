/**
 * Brings the world to what an object wants, key by key: workers take keys from a queue and call `reconcile`, which looks at the
 * present state whatever happened before. What it returns or throws decides when the key comes again.
 */
import { randomUUID } from "node:crypto";
import { aborted, type Clock, systemClock } from "./clock.ts";
import { WorkQueue } from "./workqueue.ts";

/** `requeueAfter`: comes again in so many milliseconds, earlier if something happens. Failures that went before are forgotten. */
export type Result = { requeueAfter: number } | undefined;

/** Thrown by `reconcile` where trying again is no use before someone changes something. */
export class TerminalError extends Error {
  override name = "TerminalError";
}

export interface ReconcileContext {
  /** Names this one call in logs. */
  reconcileID: string;
  /** Aborts when the controller has to stop and the time it was given is over. */
  signal: AbortSignal;
}

export type Reconcile = (key: string, context: ReconcileContext) => Promise<Result>;

export interface ControllerLog {
  debug(values: object, message: string): void;
  warn(values: object, message: string): void;
  error(values: object, message: string): void;
}

export const outcomes = ["done", "requeueAfter", "error", "terminal"] as const;
export type OutcomeKind = (typeof outcomes)[number];

type Outcome =
  | { kind: "done" }
  | { kind: "requeueAfter"; milliseconds: number }
  | { kind: "error" | "terminal"; error: unknown };

export interface ControllerOptions {
  /** Appears in logs. */
  name: string;
  reconcile: Reconcile;
  log: ControllerLog;
  queue?: WorkQueue;
  /** Keys that are worked on at a time. */
  workers?: number;
  /** Milliseconds that running calls are given at the end before their signal aborts. */
  grace?: number;
  clock?: Clock;
  newID?: () => string;
  /** For metrics: after each call. */
  reconciled?: (outcome: OutcomeKind, milliseconds: number) => void;
}

export class Controller {
  /** Where handlers of reflectors put keys, also before `run`. */
  readonly queue: WorkQueue;
  readonly #options: ControllerOptions;
  readonly #clock: Clock;
  readonly #newID: () => string;

  constructor(options: ControllerOptions) {
    const { clock = systemClock, newID = randomUUID, queue = new WorkQueue({ clock }) } = options;
    this.#options = options;
    this.#clock = clock;
    this.#newID = newID;
    this.queue = queue;
  }

  /**
   * Works until `signal` aborts. Then no further key is begun: whoever starts next sees all of them. Resolves when the calls that
   * run have ended, which they are told to after `grace`.
   */
  async run(signal: AbortSignal): Promise<void> {
    const { workers = 1, grace = 10_000 } = this.#options;
    const stop = new AbortController();
    const over = new AbortController();
    const stopped = (async () => {
      await aborted(signal);
      const drained = this.queue.shutDown({ drop: true });
      void this.#clock.sleep(grace, over.signal).then(() => stop.abort());
      await drained;
    })();
    await Promise.all(Array.from({ length: workers }, () => this.#work(stop.signal)));
    await stopped;
    over.abort();
  }

  async #work(signal: AbortSignal): Promise<void> {
    for (let key = await this.queue.get(); key !== undefined; key = await this.queue.get()) {
      try {
        await this.#once(key, signal);
      } finally {
        this.queue.done(key);
      }
    }
  }

  async #once(key: string, signal: AbortSignal): Promise<void> {
    const { name, log, reconciled } = this.#options;
    const context = { reconcileID: this.#newID(), signal };
    const values = { controller: name, key, reconcileID: context.reconcileID };
    const start = this.#clock.monotonic();
    const outcome = await this.#outcomeOf(key, context);
    switch (outcome.kind) {
      case "done":
        this.queue.forget(key);
        log.debug(values, "reconciled");
        break;
      case "requeueAfter":
        this.queue.forget(key);
        this.queue.addAfter(key, outcome.milliseconds);
        log.debug({ ...values, requeueAfter: outcome.milliseconds }, "reconciled for now");
        break;
      case "error":
        this.queue.addRateLimited(key);
        log.warn({ ...values, err: outcome.error, failures: this.queue.failures(key) }, "reconcile failed");
        break;
      case "terminal":
        this.queue.forget(key);
        log.error({ ...values, err: outcome.error }, "reconcile failed for good");
        break;
    }
    reconciled?.(outcome.kind, this.#clock.monotonic() - start);
  }

  async #outcomeOf(key: string, context: ReconcileContext): Promise<Outcome> {
    try {
      const result = await this.#options.reconcile(key, context);
      return result === undefined ? { kind: "done" } : { kind: "requeueAfter", milliseconds: result.requeueAfter };
    } catch (error) {
      return { kind: error instanceof TerminalError ? "terminal" : "error", error };
    }
  }
}
