/** The short table at the end: one line per thing shown, with what was seen. */

export interface Line {
  readonly what: string;
  readonly ok: boolean;
  readonly seen: string;
}

export class Table {
  readonly lines: Line[] = [];
  readonly #start = Date.now();

  /** Adds a line, and prints it at once: a run that is cut off has said what it knew. */
  add(what: string, ok: boolean, seen: string): void {
    this.lines.push({ what, ok, seen });
    this.say(`${ok ? "ok" : "FAILED"}  ${what}: ${seen}`);
  }

  /** Runs a step; what it throws is a line that failed. */
  async step(what: string, run: () => Promise<void>): Promise<boolean> {
    this.say(`--- ${what}`);
    try {
      await run();
      return true;
    } catch (error) {
      this.add(what, false, error instanceof Error ? error.message.slice(0, 2000) : String(error));
      return false;
    }
  }

  say(text: string): void {
    console.log(`${((Date.now() - this.#start) / 1000).toFixed(1).padStart(6)} ${text}`);
  }

  get text(): string {
    const width = Math.max(...this.lines.map(({ what }) => what.length));
    const rows = this.lines.map(
      ({ what, ok, seen }) => `${ok ? "ok    " : "FAILED"}  ${what.padEnd(width)}  ${seen.split("\n")[0]}`,
    );
    return `${rows.join("\n")}\n`;
  }

  get failed(): number {
    return this.lines.filter(({ ok }) => !ok).length;
  }
}

/** As 12.3 GiB. */
export function gib(bytes: number | bigint): string {
  return `${(Number(bytes) / 2 ** 30).toFixed(2)} GiB`;
}
