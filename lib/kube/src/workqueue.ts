/**
 * Keys that are to be worked on. A key is there once, however often it is added; it is never given to two workers at a time:
 * what is added while it is worked on comes again afterwards. Failed keys come back later and later.
 *
 *   for (;;) {
 *     const key = await queue.get();
 *     if (key === undefined) break;
 *     try { await work(key); queue.forget(key); } catch { queue.addRateLimited(key); } finally { queue.done(key); }
 *   }
 */
import { Backoff, type BackoffOptions } from "./backoff.ts";
import { type Clock, systemClock } from "./clock.ts";
import { type BucketOptions, TokenBucket } from "./token-bucket.ts";

export interface WorkQueueOptions {
  clock?: Clock;
  random?: () => number;
  /** Of one key that fails: 100 ms to 5 min. */
  backoff?: Omit<BackoffOptions, "random">;
  /** Of all that fail together: 10 per second, 100 at once. */
  bucket?: BucketOptions;
}

/** Since the start, but for the first three. */
export interface WorkQueueFigures {
  /** Keys that wait for a worker, for their time, and that are worked on. */
  waiting: number;
  delayed: number;
  processing: number;
  /** Keys that went into the queue: not those that were there already. */
  adds: number;
  retries: number;
}

export class WorkQueue {
  readonly #clock: Clock;
  readonly #backoffOptions: BackoffOptions;
  readonly #bucket: TokenBucket;
  /** In the order in which they are given out; with the time since which they wait. */
  readonly #waiting = new Map<string, number>();
  readonly #processing = new Set<string>();
  /** Added while they were worked on. */
  readonly #dirty = new Map<string, number>();
  readonly #delayed = new Map<string, { at: number; cancel: AbortController }>();
  readonly #failing = new Map<string, { backoff: Backoff; times: number }>();
  readonly #idle: ((key: string | undefined) => void)[] = [];
  #drained: (() => void)[] = [];
  #closed = false;
  #adds = 0;
  #retries = 0;

  constructor({ clock = systemClock, random = Math.random, backoff, bucket }: WorkQueueOptions = {}) {
    this.#clock = clock;
    this.#backoffOptions = { first: 100, most: 300_000, ...backoff, random };
    this.#bucket = new TokenBucket(bucket ?? { rate: 10, burst: 100 });
  }

  get figures(): WorkQueueFigures {
    return {
      waiting: this.#waiting.size + this.#dirty.size,
      delayed: this.#delayed.size,
      processing: this.#processing.size,
      adds: this.#adds,
      retries: this.#retries,
    };
  }

  /** Milliseconds that the next key has waited for a worker; 0 if none waits. */
  get oldest(): number {
    for (const since of this.#waiting.values()) return this.#clock.monotonic() - since;
    return 0;
  }

  /** Now; a key that waits for its time need not any more. Nothing happens after `shutDown`. */
  add(key: string): void {
    if (this.#closed) return;
    this.#undelay(key);
    if (this.#waiting.has(key) || this.#dirty.has(key)) return;
    ++this.#adds;
    if (this.#processing.has(key)) {
      this.#dirty.set(key, this.#clock.monotonic());
      return;
    }
    this.#waiting.set(key, this.#clock.monotonic());
    this.#giveOut();
  }

  /** In so many milliseconds, or earlier if it is to come earlier already. */
  addAfter(key: string, milliseconds: number): void {
    if (this.#closed) return;
    if (!(milliseconds > 0)) {
      this.add(key);
      return;
    }
    const at = this.#clock.monotonic() + milliseconds;
    const delayed = this.#delayed.get(key);
    if (delayed !== undefined && delayed.at <= at) return;
    if (this.#waiting.has(key) || this.#dirty.has(key)) return;
    this.#undelay(key);
    const entry = { at, cancel: new AbortController() };
    this.#delayed.set(key, entry);
    void this.#addAt(key, entry);
  }

  /** After a failure: later each time, until `forget`. */
  addRateLimited(key: string): void {
    if (this.#closed) return;
    const failing = this.#failing.get(key) ?? { backoff: new Backoff(this.#backoffOptions), times: 0 };
    this.#failing.set(key, failing);
    failing.times += 1;
    ++this.#retries;
    this.addAfter(key, Math.max(failing.backoff.next(), this.#bucket.take(this.#clock.monotonic())));
  }

  /** After a success, or when it is given up: its next failure is its first. */
  forget(key: string): void {
    this.#failing.delete(key);
  }

  /** How often `addRateLimited` had it since it was forgotten. */
  failures(key: string): number {
    return this.#failing.get(key)?.times ?? 0;
  }

  /** @returns the next key, to be handed back with `done`; undefined when there will be none any more */
  get(): Promise<string | undefined> {
    return new Promise((resolve) => {
      this.#idle.push(resolve);
      this.#giveOut();
    });
  }

  /** Each key that `get` gave, when the work on it is over, well or badly. */
  done(key: string): void {
    this.#processing.delete(key);
    const since = this.#dirty.get(key);
    if (since !== undefined) {
      this.#dirty.delete(key);
      this.#waiting.set(key, since);
    }
    this.#giveOut();
  }

  /**
   * Takes no more keys, and drops those that wait for their time. Keys that wait for a worker are still given out unless `drop`.
   * @returns when the work on the last one is done
   */
  shutDown({ drop = false }: { drop?: boolean } = {}): Promise<void> {
    this.#closed = true;
    for (const key of [...this.#delayed.keys()]) this.#undelay(key);
    this.#failing.clear();
    if (drop) {
      this.#waiting.clear();
      this.#dirty.clear();
    }
    return new Promise((resolve) => {
      this.#drained.push(resolve);
      this.#giveOut();
    });
  }

  #giveOut(): void {
    for (const key of this.#waiting.keys()) {
      const worker = this.#idle.shift();
      if (worker === undefined) break;
      this.#waiting.delete(key);
      this.#processing.add(key);
      worker(key);
    }
    if (!this.#closed || this.#waiting.size + this.#dirty.size > 0) return;
    for (const worker of this.#idle.splice(0)) worker(undefined);
    if (this.#processing.size > 0) return;
    for (const resolve of this.#drained.splice(0)) resolve();
  }

  async #addAt(key: string, entry: { at: number; cancel: AbortController }): Promise<void> {
    const { signal } = entry.cancel;
    for (let rest = entry.at - this.#clock.monotonic(); rest > 0; rest = entry.at - this.#clock.monotonic()) {
      await this.#clock.sleep(rest, signal);
      if (signal.aborted) return;
    }
    this.add(key);
  }

  #undelay(key: string): void {
    this.#delayed.get(key)?.cancel.abort();
    this.#delayed.delete(key);
  }
}
