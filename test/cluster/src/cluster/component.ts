/** One process of the cluster, which a test may pause, kill and start again. Its output goes to a log file. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import type { Space } from "./space.ts";
import { until } from "./until.ts";

export interface Command {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export class Component {
  readonly name: string;
  readonly log: string;
  readonly #space: () => Space;
  readonly #command: () => Command;
  #child: ChildProcess | undefined;
  /** How it ended, where nobody asked for it. */
  #fault: string | undefined;
  #expected = false;

  /**
   * @param space asked at each start, since a node that was booted anew has another one
   * @param log path of its log file, appended to
   */
  constructor(name: string, log: string, space: () => Space, command: () => Command) {
    this.name = name;
    this.log = log;
    this.#space = space;
    this.#command = command;
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** As the machine numbers it, seen from outside of the namespaces. @throws {Error} while it is not running */
  get pid(): number {
    const pid = this.#child === undefined ? undefined : this.#space().processOf(this.#child);
    if (!this.running || pid === undefined) throw new Error(`${this.name} is not running`);
    return pid;
  }

  /** Resolves when the process is there, not when it is ready. */
  async start(): Promise<void> {
    if (this.running) throw new Error(`${this.name} is running already`);
    const command = this.#command();
    const [file = "", ...args] = this.#space().command(command.argv);
    const log = openSync(this.log, "a");
    writeSync(log, `--- ${new Date().toISOString()} ${command.argv.join(" ")}\n`);
    this.#expected = false;
    this.#fault = undefined;
    const child = spawn(file, args, {
      detached: true,
      stdio: ["ignore", log, log],
      env: { ...process.env, ...command.env },
    });
    closeSync(log);
    this.#child = child;
    child.once("error", (error) => {
      this.#fault = error.message;
    });
    child.once("exit", (code, signal) => {
      if (!this.#expected && this.#child === child) this.#fault = `ended with ${signal ?? code}`;
    });
    await until(`${this.name} started`, () => this.#space().processOf(child) !== undefined, {
      timeoutMs: 10_000,
      everyMs: 10,
      check: () => this.check(),
    });
  }

  /** @throws {Error} with the end of its log if it ended though nobody stopped it */
  check(): void {
    if (this.#fault !== undefined)
      throw new Error(`${this.name} ${this.#fault}; the end of ${this.log}:\n${this.tail()}`);
  }

  /** SIGTERM, and SIGKILL after `graceMs`. Nothing happens if it is not running. */
  async stop(graceMs = 10_000): Promise<void> {
    await this.#end("SIGTERM", graceMs);
  }

  /** kill -9, at whatever it is doing. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL", 10_000);
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** SIGSTOP: connections stay open and nothing answers, as on a machine that hangs. */
  pause(): void {
    process.kill(this.pid, "SIGSTOP");
  }

  resume(): void {
    send(this.pid, "SIGCONT");
    this.#wake();
  }

  /** Its end is coming and is no fault. */
  expectEnd(): void {
    this.#expected = true;
  }

  /** Resolves when the process is gone. */
  async ended(): Promise<void> {
    const child = this.#child;
    if (child !== undefined && this.running) await new Promise<void>((resolve) => child.once("exit", () => resolve()));
  }

  tail(lines = 25): string {
    try {
      return readFileSync(this.log, "utf8").trimEnd().split("\n").slice(-lines).join("\n");
    } catch {
      return "(no log)";
    }
  }

  /** `nsenter` stops itself along with its child, and must go on to see the child's end. */
  #wake(): void {
    if (this.#child?.pid !== undefined) send(this.#child.pid, "SIGCONT");
  }

  async #end(signal: NodeJS.Signals, graceMs: number): Promise<void> {
    const child = this.#child;
    if (child === undefined || !this.running) return;
    this.#expected = true;
    const ended = this.ended();
    const pid = this.pid;
    send(pid, signal);
    if (signal === "SIGKILL") this.#wake();
    const timer = setTimeout(() => {
      send(pid, "SIGKILL");
      this.#wake();
    }, graceMs);
    await ended;
    clearTimeout(timer);
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
