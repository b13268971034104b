/** Repeats a request until it succeeds or there is no point in repeating it. */
import { Backoff, type BackoffOptions } from "./backoff.ts";
import { type Clock, systemClock } from "./clock.ts";
import { ApiError, isTransient } from "./errors.ts";

export interface RetryOptions extends BackoffOptions {
  clock?: Clock;
  signal?: AbortSignal;
  /** Tries in all, the first one counted. */
  attempts?: number;
}

/**
 * @throws the last error: one that is not transient, the one after which `attempts` were used up, or the one after which
 * `signal` aborted.
 */
export async function retry<T>(operation: () => Promise<T>, options: RetryOptions = {}): Promise<T> {
  const { clock = systemClock, signal, attempts = 5 } = options;
  const backoff = new Backoff(options);
  for (let attempt = 1; ; ++attempt) {
    try {
      return await operation();
    } catch (error) {
      if (!isTransient(error) || attempt >= attempts || signal?.aborted) throw error;
      await clock.sleep(backoff.next(retryAfterOf(error)), signal);
      if (signal?.aborted) throw error;
    }
  }
}

export function retryAfterOf(error: unknown): number | undefined {
  return error instanceof ApiError ? error.retryAfter : undefined;
}
