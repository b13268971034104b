/**
 * How fast events may be written. Nothing is dropped for being too fast: it waits, and what comes meanwhile is counted in the
 * same write. A first occurrence is written at once, unless its object has had very many.
 */
export interface PaceOptions {
  /** Milliseconds between two writes of one series. */
  repeat?: number;
  /** Writes that one object may have at once, and milliseconds after which it may have one more. */
  burst?: number;
  refill?: number;
}

interface Bucket {
  /** When it is full again. */
  fullAt: number;
}

export class EventPace {
  readonly #repeat: number;
  readonly #burst: number;
  readonly #refill: number;
  readonly #series = new Map<string, number>();
  readonly #objects = new Map<string, Bucket>();

  constructor({ repeat = 10_000, burst = 20, refill = 15_000 }: PaceOptions = {}) {
    this.#repeat = repeat;
    this.#burst = burst;
    this.#refill = refill;
  }

  /** @returns when the series may be written, in the past or now if at once */
  readyAt(series: string, object: string): number {
    const fullAt = this.#objects.get(object)?.fullAt ?? Number.NEGATIVE_INFINITY;
    return Math.max(this.#series.get(series) ?? Number.NEGATIVE_INFINITY, fullAt - (this.#burst - 1) * this.#refill);
  }

  spend(series: string, object: string, now: number): void {
    this.#forget(now);
    this.#series.set(series, now + this.#repeat);
    const fullAt = Math.max(now, this.#objects.get(object)?.fullAt ?? now) + this.#refill;
    this.#objects.set(object, { fullAt });
  }

  /** What no longer holds anything up. */
  #forget(now: number): void {
    for (const [key, until] of this.#series) if (until <= now) this.#series.delete(key);
    for (const [key, { fullAt }] of this.#objects) if (fullAt <= now) this.#objects.delete(key);
  }
}
