/** Where the processes of a cluster run: on the machine as it is, or inside the namespaces of a node. */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";

export const scripts = path.resolve(import.meta.dirname, "../../scripts");

export interface Space {
  /** The command that runs `command` there and ends with it; it must not outlive this process. */
  command(command: readonly string[]): string[];
  /** The process that a started command became, as the machine numbers it; undefined while there is none. */
  processOf(child: ChildProcess): number | undefined;
}

/** The machine as it is: for a control plane on loopback. Needs no rights. */
export const machine: Space = {
  command: (command) => ["setpriv", "--pdeathsig", "KILL", ...command],
  processOf: (child) => child.pid,
};

/** Namespaces of a node: mounts, network, processes, cgroups of its own. Needs root. */
export class NodeSpace implements Space {
  readonly #name: string;
  readonly #guard: ChildProcess;
  readonly #first: number;

  private constructor(name: string, guard: ChildProcess, first: number) {
    this.#name = name;
    this.#guard = guard;
    this.#first = first;
  }

  /**
   * @param name unique on the machine: `loretoken-cluster-<pid>-<number>`
   * @param folder the node's files; removed with the space unless a file `keep` is in it
   * @throws {Error} with what the scripts said, if they fail or take longer than 30 s
   */
  static async open(name: string, folder: string): Promise<NodeSpace> {
    const guard = spawn(path.join(scripts, "guard.sh"), [name, folder], {
      detached: true, // an interrupt at the terminal is for the test, which then closes the guard's input
      stdio: ["pipe", "pipe", "pipe"],
    });
    let said = "";
    guard.stderr.on("data", (chunk) => {
      said += chunk;
    });
    let first = 0;
    let made = false;
    const ready = new Promise<void>((resolve, reject) => {
      // Two scripts say these lines, in either order.
      createInterface({ input: guard.stdout }).on("line", (line) => {
        if (line.startsWith("process ")) first = Number(line.slice("process ".length));
        if (line === "ready") made = true;
        if (made && first !== 0) resolve();
      });
      guard.once("error", reject);
      guard.once("close", () => reject(new Error(`the node's namespaces could not be made: ${said.trim()}`)));
      setTimeout(() => reject(new Error(`the node's namespaces were not there after 30 s: ${said}`)), 30_000).unref();
    });
    try {
      await ready;
    } catch (error) {
      guard.stdin.end();
      throw error;
    }
    return new NodeSpace(name, guard, first);
  }

  command(command: readonly string[]): string[] {
    return [path.join(scripts, "enter.sh"), this.#name, String(this.#first), ...command];
  }

  /** `nsenter` forks into the process namespace; its only child is the command. */
  processOf(child: ChildProcess): number | undefined {
    try {
      const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim();
      return children === "" ? undefined : Number(children.split(" ")[0]);
    } catch {
      return undefined;
    }
  }

  /**
   * Ends everything inside and waits until its cgroups and mounts are gone.
   * @throws {Error} after 30 s, naming what is left
   */
  async close(): Promise<void> {
    if (this.#guard.exitCode !== null) return;
    const closed = new Promise<void>((resolve) => this.#guard.once("exit", () => resolve()));
    this.#guard.stdin?.end();
    const late = new Promise<never>((_, reject) => {
      setTimeout(() => reject(new Error(`${this.#name} has not ended after 30 s`)), 30_000).unref();
    });
    await Promise.race([closed, late]);
  }
}
