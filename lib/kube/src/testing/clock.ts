/** A clock that stands until it is moved; sleepers wake in the order of their time. */
import { setImmediate } from "node:timers/promises";
import type { Clock } from "../clock.ts";

interface Sleeper {
  at: number;
  wake: () => void;
}

export class TestClock implements Clock {
  #now: number;
  #stepped = 0;
  readonly #sleepers = new Set<Sleeper>();

  constructor(now = Date.parse("2026-01-01T00:00:00Z")) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  /** As `now`, but for steps. */
  monotonic(): number {
    return this.#now - this.#stepped;
  }

  /** Someone sets the time: what is counted does not notice. */
  step(milliseconds: number): void {
    this.#now += milliseconds;
    this.#stepped += milliseconds;
    for (const sleeper of this.#sleepers) sleeper.at += milliseconds;
  }

  get sleeping(): number {
    return this.#sleepers.size;
  }

  sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const sleeper: Sleeper = {
        at: this.#now + milliseconds,
        wake: () => {
          this.#sleepers.delete(sleeper);
          signal?.removeEventListener("abort", sleeper.wake);
          resolve();
        },
      };
      this.#sleepers.add(sleeper);
      signal?.addEventListener("abort", sleeper.wake);
    });
  }

  /** Moves on, and lets whoever wakes run until it sleeps again or waits for something real. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    for (;;) {
      await setImmediate();
      const next = [...this.#sleepers].sort((a, b) => a.at - b.at)[0];
      if (next === undefined || next.at > end) break;
      this.#now = Math.max(this.#now, next.at);
      next.wake();
    }
    this.#now = end;
    await setImmediate();
  }
}
