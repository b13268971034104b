/**
 * Whose turn it is on the main loop: the kubelet waits for its calls, the rounds of the monitor, the reconciler and a scrape wait for
 * nobody. So these ask for their turn between their steps, and a call that runs goes first.
 */
import { setImmediate as nextTurn } from "node:timers/promises";

/** Milliseconds that a step waits for calls at most: however many there are, the GPUs are looked at. */
const patience = 20;

export class Turns {
  #calls = 0;
  readonly #waiting = new Set<() => void>();

  /** Carries out a call of the kubelet. Returns and throws as `work`. */
  async call<T>(work: () => Promise<T>): Promise<T> {
    this.#calls += 1;
    try {
      return await work();
    } finally {
      this.#calls -= 1;
      if (this.#calls === 0) for (const resume of this.#waiting) resume();
    }
  }

  /** Resolves when everything else had its turn and no call runs, after `patience` in any case. */
  readonly give = async (): Promise<void> => {
    await nextTurn();
    if (this.#calls === 0) return;
    await this.#over();
    await nextTurn(); // the answer goes out first
  };

  #over(): Promise<void> {
    return new Promise((resolve) => {
      const resume = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(resume);
        resolve();
      };
      const timer = setTimeout(resume, patience);
      this.#waiting.add(resume);
    });
  }
}
