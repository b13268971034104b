/** How long to wait before the next try: doubling, and spread at random so that many clients do not come back at once. */
export interface BackoffOptions {
  /** Milliseconds before the first retry, on average three quarters of it. */
  first?: number;
  most?: number;
  /** From 0 to below 1. */
  random?: () => number;
}

export class Backoff {
  readonly #first: number;
  readonly #most: number;
  readonly #random: () => number;
  #tries = 0;

  constructor({ first = 250, most = 30_000, random = Math.random }: BackoffOptions = {}) {
    this.#first = first;
    this.#most = most;
    this.#random = random;
  }

  /**
   * @param atLeast what the server asked for, milliseconds
   * @returns milliseconds: from half of the step to all of it, and never less than was asked for
   */
  next(atLeast = 0): number {
    const step = Math.min(this.#most, this.#first * 2 ** this.#tries);
    if (step < this.#most) ++this.#tries;
    const spread = 0.5 + 0.5 * this.#random();
    return atLeast > 0 ? atLeast + step * spread * 0.5 : step * spread;
  }

  /** After a success. */
  reset(): void {
    this.#tries = 0;
  }
}
