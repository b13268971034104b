/** What a process costs, by Linux's own figures. */
import { readdirSync, readFileSync } from "node:fs";

export interface Memory {
  /** MiB: now, and the most since its start. */
  readonly resident: number;
  readonly peak: number;
}

export function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const mebibytes = (field: string): number =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) / 1024;
  return { resident: mebibytes("VmRSS"), peak: mebibytes("VmHWM") };
}

/** Milliseconds of processor time so far by thread, under "<name> <id>"; to the nanosecond as the scheduler counts. */
export function processorOf(pid: number): Map<string, number> {
  const folder = `/proc/${pid}/task`;
  return new Map(
    readdirSync(folder).map((thread) => {
      const name = readFileSync(`${folder}/${thread}/comm`, "utf8").trim();
      const [running] = readFileSync(`${folder}/${thread}/schedstat`, "utf8").split(" ");
      return [`${name} ${thread}`, Number(running) / 1e6] as const;
    }),
  );
}

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
