/** Lets through so many at once and so many per second on average. Who has to wait is told how long, and its turn is kept. */
export interface BucketOptions {
  /** Turns per second. */
  rate: number;
  /** Turns at once after a rest. */
  burst: number;
}

export class TokenBucket {
  readonly #interval: number;
  readonly #burst: number;
  /** When it is full again. */
  #fullAt = Number.NEGATIVE_INFINITY;

  constructor({ rate, burst }: BucketOptions) {
    if (!(rate > 0) || !(burst >= 1)) throw new RangeError("a bucket needs a rate above 0 and a burst of at least 1");
    this.#interval = 1000 / rate;
    this.#burst = burst;
  }

  /**
   * Takes a turn.
   * @param now milliseconds
   * @returns milliseconds until it, 0 if it is at once
   */
  take(now: number): number {
    const fullAt = Math.max(now, this.#fullAt) + this.#interval;
    this.#fullAt = fullAt;
    return Math.max(0, fullAt - now - this.#burst * this.#interval);
  }
}
