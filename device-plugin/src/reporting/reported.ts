/**
 * What must outlive the agent so that nothing is reported twice or left out: up to where a container's ring was delivered, and
 * what its counters were. Lies beside the telemetry file, and goes with the allocation's folder.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { CounterState, RingPosition } from "@loretoken/telemetry";
import { z } from "zod";
import type { Holding } from "../holding.ts";

export interface Reported {
  ring?: RingPosition | undefined;
  counters?: CounterState | undefined;
}

const counters = z.record(z.string(), z.union([z.number(), z.array(z.number())]));
const schema = z.object({
  ring: z.object({ epoch: z.int(), inode: z.string(), number: z.int(), realtime: z.number() }).optional(),
  counters: z.object({ ended: counters, rows: z.record(z.string(), counters) }).optional(),
});

export function reportedPath(holding: Holding): string {
  return join(dirname(holding.telemetry), "reported.json");
}

/** Nothing, if there is none or it cannot be understood: then all is read from the beginning. */
export function loadReported(path: string): Reported {
  try {
    // Counters of another version miss or have fields; CounterSum takes them as they are.
    return schema.parse(JSON.parse(readFileSync(path, "utf8"))) as Reported;
  } catch {
    return {};
  }
}

/**
 * Whole or not at all. Not forced to the disk: what a crash of the machine takes with it are containers, too.
 * @throws what writing throws, but if the allocation is gone
 */
export function saveReported(path: string, reported: Reported): void {
  try {
    writeFileSync(`${path}.new`, JSON.stringify(reported), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}
