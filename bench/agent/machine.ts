/** What the machine is busy with while something is measured. */
import { readFileSync } from "node:fs";

/** Share of the machine's processors that did something since `before`, this process and its children included. */
export class Machine {
  #before = ticks();

  /** Percent since the last call. */
  busy(): number {
    const now = ticks();
    const [idle, all] = [now.idle - this.#before.idle, now.all - this.#before.all];
    this.#before = now;
    return all === 0 ? 0 : 100 * (1 - idle / all);
  }
}

function ticks(): { idle: number; all: number } {
  const line = readFileSync("/proc/stat", "utf8").split("\n")[0] ?? "";
  const fields = line.trim().split(/\s+/).slice(1, 9).map(Number);
  return { idle: (fields[3] ?? 0) + (fields[4] ?? 0), all: fields.reduce((sum, field) => sum + field, 0) };
}
