/**
 * Which rows are of processes that still live. A finished process leaves its row, so that its counters stay readable; what it
 * held is gone with it, but nobody set its gauges to 0.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as giveWay } from "node:timers/promises";
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
/** Looked at in one go, before other work has its turn. */
const sliceLength = 64;
/** The inode that Linux gives the first of all PID namespaces. */
const firstNamespace = "pid:[4026531836]";

export interface HostProcessesOptions {
  readonly proc?: string;
  /** Milliseconds. */
  readonly now?: () => number;
  /** Milliseconds between two looks through all of /proc. */
  readonly rescanAfter?: number;
  /** Whether /proc is known to have every process of the host; left out: by the namespace. */
  readonly seesAll?: boolean;
}

/**
 * Looks processes up in the host's /proc, by the pid that they have in their own namespace and their start time. A /proc that is
 * perhaps not the host's says nothing about the dead until a process that was asked for was found in it: an agent that does
 * not see the host's processes calls none of them dead.
 *
 * Cost: one small file per known process; all of /proc when an unknown one is asked for, in slices between other work and at most
 * every `rescanAfter`. Until that is over an unknown process is taken for alive.
 */
export class HostProcesses {
  readonly #proc: string;
  readonly #now: () => number;
  readonly #rescanAfter: number;
  #trusted: boolean;
  #known = new Map<string, string>();
  /** Asked for and not known; the next look through /proc decides. */
  #wanted = new Set<string>();
  /** Not found once: a pid with that start time does not come back. */
  readonly #dead = new Set<string>();
  #scannedAt = Number.NEGATIVE_INFINITY;
  #scanning: Promise<void> | undefined;

  constructor({ proc = "/proc", now = Date.now, rescanAfter = 5000, seesAll }: HostProcessesOptions = {}) {
    this.#proc = proc;
    this.#now = now;
    this.#rescanAfter = rescanAfter;
    this.#trusted = seesAll ?? isFirstNamespace(proc);
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
    this.#wanted.add(key);
    if (this.#scanning === undefined && this.#now() - this.#scannedAt >= this.#rescanAfter) {
      this.#scanning = this.#scan().finally(() => {
        this.#scanning = undefined;
      });
    }
    return true;
  };

  /** Resolves when no look through /proc is under way. */
  async settled(): Promise<void> {
    await this.#scanning;
  }

  #bury(key: string): false {
    if (this.#dead.size >= mostDead) this.#dead.clear();
    this.#dead.add(key);
    return false;
  }

  async #scan(): Promise<void> {
    this.#scannedAt = this.#now();
    const wanted = this.#wanted;
    this.#wanted = new Set();
    const starts = new Set([...wanted].map((key) => Number(key.split("/")[1])));
    const all = readdirSync(this.#proc).filter((name) => /^\d+$/.test(name));
    for (let from = 0; from < all.length; from += sliceLength) {
      for (const hostPid of all.slice(from, from + sliceLength)) this.#look(hostPid, starts, wanted);
      await giveWay();
    }
    if (!this.#trusted) return;
    for (const key of wanted) if (!this.#known.has(key)) this.#bury(key);
  }

  /** Most processes are of no interest, which their start time alone says. */
  #look(hostPid: string, starts: ReadonlySet<number>, wanted: ReadonlySet<string>): void {
    const startTime = this.#startTime(hostPid);
    if (startTime === undefined || !starts.has(startTime)) return;
    const own = /^NSpid:.*\s(\d+)$/m.exec(this.#text(hostPid, "status"))?.[1];
    const key = `${own}/${startTime}`;
    if (!wanted.has(key)) return;
    this.#known.set(key, hostPid);
    this.#trusted = true;
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

function isFirstNamespace(proc: string): boolean {
  try {
    return readlinkSync(join(proc, "self/ns/pid")) === firstNamespace;
  } catch {
    return false;
  }
}
