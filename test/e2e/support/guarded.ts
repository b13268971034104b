/** A program in a pod, and all that its guardrails leave behind: telemetry, Events on the pod, series in /metrics. */
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { CoreV1Api } from "@kubernetes/client-node";
import {
  type Guard,
  guards,
  type Row,
  type Snapshot,
  type TelemetryEvent,
  TelemetryReader,
} from "@loretoken/telemetry";
import { type Target, until } from "@loretoken/test-cluster";
import { type Agent, hostFolder, type Kept, resource } from "./agent.ts";

/** By its path on the node; a folder per pod. */
const faultFolder = "/var/lib/e2e-programs";

export interface Program {
  readonly image: string;
  /** With its arguments. */
  readonly words: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** One Event on a pod, as a user reads it. */
export interface Told {
  readonly reason: string;
  readonly count: number;
  readonly message: string;
}

export class GuardedPod {
  readonly name: string;
  readonly #target: Target;
  readonly #agent: Agent;
  readonly #program: Program;
  readonly #reader = new TelemetryReader();
  #kept: Kept | undefined;

  /** @param name of the pod */
  constructor(name: string, target: Target, agent: Agent, program: Program) {
    this.name = name;
    this.#target = target;
    this.#agent = agent;
    this.#program = program;
  }

  /**
   * Starts it and waits until the agent knows whose its memory is. When the program has ended the container stays, so that what
   * it left can be read.
   */
  async start(units = 1): Promise<void> {
    this.#place([]);
    const { image, words, env } = this.#program;
    const script = `${words.join(" ")}; echo "exit code $?"; exec sleep 1000000`;
    await this.#target.pods.run({
      name: this.name,
      image,
      command: ["/bin/sh", "-c", script],
      env: { LORETOKEN_SIM_DEVICES: this.#agent.gpus.join(","), ...simulated, ...env },
      limits: { [resource]: units },
      spec: { volumes: [{ name: "faults", hostPath: { path: this.#folder, type: "Directory" } }] },
      container: { volumeMounts: [{ name: "faults", mountPath: "/faults", readOnly: true }] },
    });
    this.#kept = await until("its owner is known", async () =>
      (await this.#agent.kept()).find(({ owner }) => owner?.pod === this.name),
    );
  }

  get gpuUuid(): string {
    return this.#allocation.gpuUuid;
  }

  /** The number by which the simulator's control file names its card. */
  get gpu(): number {
    return Number.parseInt(this.gpuUuid.slice(-12), 16) - 1;
  }

  /** What its simulated driver does from now on: lines of test/sim/inject/inject.h. */
  inject(...lines: string[]): void {
    this.#place(lines);
  }

  get telemetry(): Snapshot {
    const file = path.join(this.#target.cluster.folder, "lib", path.relative("/var/lib", hostFolder));
    const snapshot = this.#reader.read(path.join(file, "allocations", this.#allocation.id, "telemetry"));
    if (snapshot === undefined) throw new Error(`${this.name} has no telemetry file`);
    return snapshot;
  }

  /** Of its one process. */
  get row(): Row {
    const [row, ...others] = this.telemetry.rows;
    if (row === undefined || others.length > 0) throw new Error(`${this.name} has ${others.length + 1} rows, or none`);
    return row;
  }

  /** What a guardrail wrote into the ring. */
  ring(guard: Guard): TelemetryEvent[] {
    return this.telemetry.events.filter((event) => guards[event.guard] === guard);
  }

  /** Waits until its row is so. */
  async until(what: string, holds: (row: Row) => boolean, timeoutMs = 60_000): Promise<void> {
    await until(`${this.name}: ${what}`, async () => holds(this.row), { timeoutMs, everyMs: 100 });
  }

  /** Its Events that are LoreToken's. */
  async events(): Promise<Told[]> {
    const { config, namespace } = this.#target;
    const fieldSelector = `involvedObject.name=${this.name}`;
    const { items } = await config.makeApiClient(CoreV1Api).listNamespacedEvent({ namespace, fieldSelector });
    return items
      .filter(({ source }) => source?.component?.includes("loretoken"))
      .map(({ reason = "", count = 0, message = "" }) => ({ reason, count, message }));
  }

  /** Waits for an Event that happened so often. */
  async told(reason: string, count = 1): Promise<Told> {
    return until(
      `${reason} on ${this.name}, ${count} times`,
      async () => {
        const events = await this.events();
        const found = events.find((event) => event.reason === reason && event.count >= count);
        if (found === undefined) throw new Error(JSON.stringify(events));
        return found;
      },
      { timeoutMs: 60_000 },
    );
  }

  /** Counts by reason: all that was told of it. */
  async counts(): Promise<Record<string, number>> {
    return Object.fromEntries((await this.events()).map(({ reason, count }) => [reason, count]));
  }

  /** The value of its series that has this label. */
  async metric(name: string, label = ""): Promise<number> {
    const { body } = await this.#agent.page("/metrics");
    const own = `namespace="${this.#target.namespace}",pod="${this.name}"`;
    const lines = body.split("\n").filter((line) => line.startsWith(`${name}{`) && line.includes(own));
    const found = lines.filter((line) => line.includes(label));
    if (found.length !== 1) throw new Error(`${found.length} series ${name} of ${this.name} with ${label}`);
    return Number(found[0]?.split(" ").at(-1));
  }

  async guardrailEvents(guard: Guard): Promise<number> {
    return this.metric("loretoken_container_guardrail_events_total", `guard="${guard}"`);
  }

  /** Waits until the program has ended. */
  async ended(timeoutMs = 180_000): Promise<{ readonly code: number; readonly log: string }> {
    return until(
      `the program of ${this.name} has ended`,
      async () => {
        const log = await this.#target.pods.logs(this.name);
        const code = /^exit code (\d+)$/m.exec(log)?.[1];
        if (code === undefined) throw new Error(log.slice(-500));
        return { code: Number(code), log };
      },
      { timeoutMs },
    );
  }

  async remove(): Promise<void> {
    await this.#target.pods.remove(this.name);
  }

  get #allocation(): Kept {
    if (this.#kept === undefined) throw new Error(`${this.name} has not been started`);
    return this.#kept;
  }

  get #folder(): string {
    return path.join(faultFolder, this.name);
  }

  #place(lines: readonly string[]): void {
    const folder = path.join(this.#target.cluster.folder, "lib", path.relative("/var/lib", this.#folder));
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, "new"), lines.map((line) => `${line}\n`).join(""));
    renameSync(path.join(folder, "new"), path.join(folder, "control"));
  }
}

/** Memory that nothing uses packs too, as on a card; what a test waits for in time is not the penalty guardrail's. */
const simulated = {
  LORETOKEN_SIM_CONTROL: "/faults/control",
  LORETOKEN_SIM_POISON: "0",
  LORETOKEN_PENALTY_WINDOW: "3600000",
};
