/** Two processes that want the same lease, and what the file says that both write to. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Milliseconds; shorter than usual, in the usual proportions. */
export const electionTimes = { leaseDuration: 5000, renewDeadline: 3000, retryPeriod: 500 };

export interface Line {
  /** Milliseconds of the machine's monotonic clock. */
  time: number;
  name: string;
  transitions: number;
  what: string;
}

export class Election {
  readonly #kubeconfig: string;
  readonly #file: string;
  readonly processes = new Map<string, ChildProcess>();

  constructor(kubeconfig: string, file: string) {
    this.#kubeconfig = kubeconfig;
    this.#file = file;
  }

  start(name: string): void {
    const program = join(import.meta.dirname, "elector.ts");
    const child = spawn(process.execPath, [program, this.#kubeconfig, name, this.#file], {
      stdio: ["ignore", "ignore", "ignore"],
    });
    this.processes.set(name, child);
  }

  signal(name: string, signal: NodeJS.Signals): void {
    this.processes.get(name)?.kill(signal);
  }

  /** Ends a process and waits for its end. */
  async end(name: string, signal: NodeJS.Signals): Promise<void> {
    const child = this.processes.get(name);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }

  async stop(): Promise<void> {
    for (const name of this.processes.keys()) await this.end(name, "SIGKILL");
  }

  /** In the order of time. */
  get lines(): Line[] {
    if (!existsSync(this.#file)) return [];
    const lines = readFileSync(this.#file, "utf8")
      .split("\n")
      .filter((line) => line !== "");
    return lines
      .map((line) => {
        const [time = "0", name = "", transitions = "", what = ""] = line.split(" ");
        return { time: Number(BigInt(time) / 1000n) / 1000, name, transitions: Number(transitions), what };
      })
      .sort((a, b) => a.time - b.time);
  }

  get writes(): Line[] {
    return this.lines.filter(({ what }) => what === "write");
  }

  /** Who wrote within the last `within` milliseconds. */
  leader(within = 300): string | undefined {
    const last = this.writes.at(-1);
    return last !== undefined && now() - last.time < within ? last.name : undefined;
  }
}

export function now(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}
