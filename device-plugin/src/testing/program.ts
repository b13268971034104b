/** The agent as its image has it: bundled, started by the package's script "start", a process of its own. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const home = join(import.meta.dirname, "../..");

/** Ends with `remove`. */
export class Bundle {
  readonly folder = mkdtempSync(join(tmpdir(), "loretoken-agent-"));
  /** Node's flags and the program. */
  readonly words: readonly string[];

  constructor() {
    cpSync(join(home, "package.json"), join(this.folder, "package.json"));
    const bundle = [join(home, "scripts/bundle.ts"), join(this.folder, "dist")];
    execFileSync(process.execPath, bundle, { stdio: "inherit" });
    const { scripts } = JSON.parse(readFileSync(join(home, "package.json"), "utf8")) as { scripts: { start: string } };
    const [arenas, node, ...words] = scripts.start.split(" ");
    if (arenas !== "MALLOC_ARENA_MAX=1" || node !== "node") throw new Error(`not understood: ${scripts.start}`);
    this.words = words;
  }

  /** @param flags of the agent; @param words more for node */
  start(flags: readonly string[], env: NodeJS.ProcessEnv = {}, words: readonly string[] = []): AgentProgram {
    const child = spawn(process.execPath, [...words, ...this.words, ...flags], {
      cwd: this.folder,
      env: { ...process.env, MALLOC_ARENA_MAX: "1", ...env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    return new AgentProgram(child);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export class AgentProgram {
  output = "";
  readonly #child: ChildProcess;

  constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.on("data", (text) => {
      this.output += text;
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** How often it logged this message. */
  logged(message: string): number {
    return this.output.split(`"msg":"${message}"`).length - 1;
  }

  /** Milliseconds of processor time so far by thread, under "<name> <id>"; to the nanosecond, as the scheduler counts. */
  processor(): Map<string, number> {
    const folder = `/proc/${this.pid}/task`;
    return new Map(
      readdirSync(folder).map((thread) => {
        const name = readFileSync(`${folder}/${thread}/comm`, "utf8").trim();
        const [running] = readFileSync(`${folder}/${thread}/schedstat`, "utf8").split(" ");
        return [`${name} ${thread}`, Number(running) / 1e6] as const;
      }),
    );
  }

  /** MiB: now, and the most since its start. */
  memory(): { resident: number; peak: number } {
    const status = readFileSync(`/proc/${this.pid}/status`, "utf8");
    const mebibytes = (field: string): number =>
      Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) / 1024;
    return { resident: mebibytes("VmRSS"), peak: mebibytes("VmHWM") };
  }

  /** @returns its exit code; null if a signal ended it */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return this.#child.exitCode;
    this.#child.kill(signal);
    const [code] = await once(this.#child, "exit");
    return code as number | null;
  }
}
