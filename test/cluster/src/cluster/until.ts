/** Waits with limits: every wait of a test ends, and says what it waited for and what it saw last. */
import { setTimeout as sleep } from "node:timers/promises";

export interface WaitOptions {
  readonly timeoutMs?: number;
  readonly everyMs?: number;
  /** Called between tries; throws when waiting is no use any more. */
  readonly check?: () => void;
}

/**
 * Repeats `probe` until it returns something other than false and undefined, and returns that. What a probe throws counts as "not yet".
 * @throws {Error} after the limit (30 s if none is given), naming `what` and what the last try threw
 */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  options: WaitOptions = {},
): Promise<Exclude<T, false | undefined>> {
  const { timeoutMs = 30_000, everyMs = 200 } = options;
  const end = Date.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await within(end - Date.now(), probe);
      if (value !== false && value !== undefined) return value as Exclude<T, false | undefined>;
      last = undefined;
    } catch (error) {
      last = error;
    }
    options.check?.();
    if (Date.now() >= end) {
      const seen = last instanceof Error ? `: ${last.message}` : "";
      throw new Error(`gave up after ${timeoutMs / 1000} s on: ${what}${seen}`, { cause: last });
    }
    await sleep(everyMs);
  }
}

/** A probe that does not answer, as a call to a server that hangs, must not outlast the wait. */
async function within<T>(milliseconds: number, probe: () => T | Promise<T>): Promise<T> {
  const timer = new AbortController();
  const late = sleep(Math.max(milliseconds, 1000), undefined, { signal: timer.signal }).then(() => {
    throw new Error("the last try has not answered");
  });
  late.catch(() => {});
  try {
    return await Promise.race([probe(), late]);
  } finally {
    timer.abort();
  }
}
