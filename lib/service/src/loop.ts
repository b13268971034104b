/** Work that is done again and again, never twice at once. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Log, messageOf } from "./log.ts";

export interface Loop {
  /** Resolves when the work that runs is done; none begins after it. */
  stop(): Promise<void>;
}

/** Begins after the first pause. What the work throws is logged, and it is done again all the same. */
export function every(milliseconds: number, name: string, log: Log, work: () => void | Promise<void>): Loop {
  const ending = new AbortController();
  const run = async (): Promise<void> => {
    for (;;) {
      await sleep(milliseconds, undefined, { signal: ending.signal });
      try {
        await work();
      } catch (error) {
        log.error({ loop: name, error: messageOf(error) }, "loop failed");
      }
    }
  };
  const running = run().catch((error: unknown) => {
    if (!ending.signal.aborted) throw error;
  });
  return {
    async stop() {
      ending.abort();
      await running;
    },
  };
}
