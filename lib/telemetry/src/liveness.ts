/**
 * Which rows are of processes that still live. A finished process leaves its row, so that its counters stay readable; what it
 * held is gone with it, but nobody set its gauges to 0.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Row } from "./abi.ts";
import type { Telemetry } from "./file.ts";

/** @returns whether a process with this pid (of its container) and start time (clock ticks since boot) lives */
export type Alive = (pid: number, startTime: number) => boolean;

/**
 * A process that held memory has an entry in the process table, which its fellows free once it is gone; that is known
 * without seeing the container's processes. The last one of a container has no fellows: for it `alive` is asked. A table
 * without entries says that no process ever held memory, because each runs as on plain CUDA, say: then all rows count.
 */
export function liveRows(telemetry: Pick<Telemetry, "rows" | "processes">, alive: Alive = () => true): Row[] {
  const held = new Set(telemetry.processes.map(({ pid, start_time }) => `${pid}/${start_time}`));
  const holds = (row: Row): boolean => held.size === 0 || held.has(`${row.pid}/${row.start_time}`);
  return telemetry.rows.filter((row) => holds(row) && alive(row.pid, row.start_time));
}

const mostDead = 10_000;

/**
 * Looks processes up in the host's /proc, by the pid that they have in their own namespace and their start time. For an
 * agent that sees the host's processes; one that does not would call all of them dead.
 *
 * Cost: one small file per known process; all of /proc when an unknown one is asked for, at most every `rescanAfter`.
 */
export class HostProcesses {
  readonly #proc: string;
  readonly #now: () => number;
  readonly #rescanAfter: number;
  #known = new Map<string, string>();
  /** Not found once: a pid with that start time does not come back. */
  readonly #dead = new Set<string>();
  #scannedAt = Number.NEGATIVE_INFINITY;

  /** @param now milliseconds; @param rescanAfter milliseconds */
  constructor({ proc = "/proc", now = Date.now, rescanAfter = 5000 } = {}) {
    this.#proc = proc;
    this.#now = now;
    this.#rescanAfter = rescanAfter;
  }

  readonly alive: Alive = (pid, startTime) => {
    const key = `${pid}/${startTime}`;
    if (this.#dead.has(key)) return false;
    const hostPid = this.#known.get(key);
    if (hostPid !== undefined) {
      if (this.#startTime(hostPid) === startTime) return true;
      this.#known.delete(key);
      return this.#bury(key);
    }
    // One that started since the last look through /proc is given the benefit of the doubt until the next.
    if (this.#now() - this.#scannedAt < this.#rescanAfter) return true;
    this.#scan();
    return this.#known.has(key) || this.#bury(key);
  };

  #bury(key: string): false {
    if (this.#dead.size >= mostDead) this.#dead.clear();
    this.#dead.add(key);
    return false;
  }

  #scan(): void {
    this.#scannedAt = this.#now();
    this.#known = new Map();
    for (const hostPid of readdirSync(this.#proc).filter((name) => /^\d+$/.test(name))) {
      const own = /^NSpid:.*\s(\d+)$/m.exec(this.#text(hostPid, "status"))?.[1];
      const startTime = this.#startTime(hostPid);
      if (own !== undefined && startTime !== undefined) this.#known.set(`${own}/${startTime}`, hostPid);
    }
  }

  /**
   * Field 22 of stat; the name in parentheses may hold anything, the third field follows the last ")". Undefined for one that
   * ended, also if its parent has not asked for its exit code yet.
   */
  #startTime(hostPid: string): number | undefined {
    const stat = this.#text(hostPid, "stat");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const startTime = fields[19];
    return startTime === undefined || fields[0] === "Z" || fields[0] === "X" ? undefined : Number(startTime);
  }

  #text(hostPid: string, file: string): string {
    try {
      return readFileSync(join(this.#proc, hostPid, file), "utf8");
    } catch {
      return ""; // it ended while we looked
    }
  }
}
