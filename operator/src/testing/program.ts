/** The operator as its image has it: bundled, a process of its own. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const home = join(import.meta.dirname, "../..");

interface Line {
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** Ends with `remove`. */
export class Bundle {
  readonly folder = mkdtempSync(join(tmpdir(), "loretoken-operator-"));
  readonly main = join(this.folder, "dist/loretoken-operator.js");
  /** Node's flags. */
  readonly #words: readonly string[];

  constructor() {
    cpSync(join(home, "package.json"), join(this.folder, "package.json"));
    const { scripts } = JSON.parse(readFileSync(join(home, "package.json"), "utf8")) as { scripts: { start: string } };
    const [node, ...start] = scripts.start.split(" ");
    if (node !== "node") throw new Error(`not understood: ${scripts.start}`);
    this.#words = start.slice(0, -1);
    const words = [join(home, "scripts/bundle.ts"), join(this.folder, "dist")];
    execFileSync(process.execPath, words, { stdio: "inherit" });
  }

  start(flags: readonly string[], env: NodeJS.ProcessEnv = {}): OperatorProgram {
    const child = spawn(process.execPath, [...this.#words, this.main, ...flags], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    return new OperatorProgram(child);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export class OperatorProgram {
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

  get lines(): Line[] {
    return this.output.split("\n").flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as Line] : []));
  }

  logged(message: string): number {
    return this.lines.filter(({ msg }) => msg === message).length;
  }

  /** Ports that it serves at; undefined until it does. */
  get ports(): { readonly webhook: number; readonly pages: number } | undefined {
    const started = this.lines.find(({ msg }) => msg === "started");
    return started && { webhook: Number(started.webhook), pages: Number(started.pages) };
  }

  pause(): void {
    this.#child.kill("SIGSTOP");
  }

  resume(): void {
    this.#child.kill("SIGCONT");
  }

  /** Waits for its end. @returns its exit code; null if a signal ended it */
  async ended(): Promise<number | null> {
    const child = this.#child;
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    return child.exitCode;
  }

  /** @returns as `ended` */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    this.#child.kill(signal);
    return this.ended();
  }
}
