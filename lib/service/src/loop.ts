/** Work that is done again and again, never twice at once. */
import { type Log, messageOf } from "./log.ts";

export interface Loop {
  /** The next time comes in so many milliseconds, if it would not be sooner. */
  soon(milliseconds: number): void;
  /** Resolves when the work that runs is done; none begins after it. */
  stop(): Promise<void>;
}

/** Begins after the first pause. What the work throws is logged, and it is done again all the same. */
export function every(milliseconds: number, name: string, log: Log, work: () => void | Promise<void>): Loop {
  const pause = new Pause();
  const run = async (): Promise<void> => {
    while (await pause.take(milliseconds)) {
      try {
        await work();
      } catch (error) {
        log.error({ loop: name, error: messageOf(error) }, "loop failed");
      }
    }
  };
  const running = run();
  return {
    soon: (most) => pause.shorten(most),
    stop() {
      pause.end();
      return running;
    },
  };
}

class Pause {
  #ended = false;
  #over: ((goOn: boolean) => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #until = Number.POSITIVE_INFINITY;
  /** What was asked for while the work ran. */
  #most = Number.POSITIVE_INFINITY;

  /** @returns false if it was ended */
  take(milliseconds: number): Promise<boolean> {
    if (this.#ended) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#over = resolve;
      this.#set(Math.min(milliseconds, this.#most));
      this.#most = Number.POSITIVE_INFINITY;
    });
  }

  shorten(most: number): void {
    if (this.#over === undefined) this.#most = Math.min(this.#most, most);
    else if (performance.now() + most < this.#until) this.#set(most);
  }

  end(): void {
    this.#ended = true;
    this.#finish(false);
  }

  #set(milliseconds: number): void {
    clearTimeout(this.#timer);
    this.#until = performance.now() + milliseconds;
    this.#timer = setTimeout(() => this.#finish(true), milliseconds);
  }

  #finish(goOn: boolean): void {
    clearTimeout(this.#timer);
    const over = this.#over;
    this.#over = undefined;
    over?.(goOn);
  }
}
