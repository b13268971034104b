/** A machine of its own beside others on one clock: while it is suspended none of its timers or answers has a turn. */
import type { Clock } from "../clock.ts";

export class Machine implements Clock {
  readonly #clock: Clock;
  #resumed = Promise.withResolvers<void>();
  suspended = false;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#resumed.resolve();
  }

  suspend(): void {
    if (this.suspended) return;
    this.suspended = true;
    this.#resumed = Promise.withResolvers();
  }

  resume(): void {
    this.suspended = false;
    this.#resumed.resolve();
  }

  now(): number {
    return this.#clock.now();
  }

  monotonic(): number {
    return this.#clock.monotonic();
  }

  async sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    await this.#clock.sleep(milliseconds, signal);
    while (this.suspended) await this.#resumed.promise;
  }
}
