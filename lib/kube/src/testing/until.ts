import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";

/** Waits for a condition; a test fails with `what` if it does not come within `limit` milliseconds. */
export async function until(what: string, condition: () => boolean, limit = 5000): Promise<void> {
  const end = performance.now() + limit;
  while (!condition()) {
    assert.ok(performance.now() < end, `not within ${limit} ms: ${what}`);
    await pause(5);
  }
}
