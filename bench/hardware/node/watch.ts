/** What telemetry files, the agent's metrics and NVML say while programs run: a sample every second. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Device } from "@loretoken/nvml";
import { pins as pinNames, type Row, TelemetryReader, usageOf } from "@loretoken/telemetry";
import type { Agent } from "./agent.ts";

/** One container at one moment, as its telemetry file says. Bytes unless said otherwise. */
export interface Sample {
  readonly at: number;
  readonly pod: string;
  readonly guaranteed: number;
  readonly live: number;
  readonly raw: number;
  readonly packed: number;
  readonly packedLogical: number;
  readonly host: number;
  readonly held: number;
  readonly mode: string;
  readonly modeGuard: string;
  readonly modeCause: string;
  readonly penaltyPermille: number;
  readonly backoff: number;
  readonly pins: Readonly<Record<string, number>>;
  readonly counters: Readonly<Record<(typeof counted)[number], number>>;
  readonly events: readonly string[];
}

const counted = [
  "launches",
  "slow_launches",
  "packs",
  "unpacks",
  "spills",
  "fetches",
  "wait_ns",
  "out_of_memory",
] as const;
/** Counters that /metrics has too. */
const compared = { launches: "launches_total", packs: "packs_total", unpacks: "unpacks_total" } as const;

/** How old the figures of /metrics may be, with a little room. */
const figuresAgeMs = 12_000;

interface CardSample {
  readonly at: number;
  readonly usedBytes: number | undefined;
  readonly watts: number | undefined;
  readonly celsius: number | undefined;
  readonly smMHz: number | undefined;
  readonly processes: number | undefined;
}

export class Watch {
  readonly samples: Sample[] = [];
  readonly cards: CardSample[] = [];
  /** Comparisons of /metrics with the telemetry files around it. */
  readonly agreements: {
    pod: string;
    counter: string;
    before: number;
    metric: number;
    after: number;
    agrees: boolean;
  }[] = [];
  readonly faults: string[] = [];
  readonly #agent: Agent;
  readonly #device: Device | undefined;
  readonly #out: string;
  readonly #reader = new TelemetryReader();
  readonly #start = Date.now();
  #running = true;
  #pages = 0;

  constructor(agent: Agent, device: Device | undefined, out: string) {
    this.#agent = agent;
    this.#device = device;
    this.#out = out;
  }

  /** Samples until `stop`. Never throws: what fails is in `faults`. */
  async run(): Promise<void> {
    for (let round = 0; this.#running; ++round) {
      try {
        this.samples.push(...this.#look());
        if (this.#device !== undefined) this.cards.push(this.#card(this.#device));
        if (round % 3 === 2) await this.#compare();
      } catch (error) {
        if (this.faults.length < 50) this.faults.push((error as Error).message);
      }
      await sleep(1000);
    }
  }

  stop(): void {
    this.#running = false;
  }

  of(pod: string): Sample[] {
    return this.samples.filter((sample) => sample.pod === pod);
  }

  /** The highest that a figure was. */
  peak(pod: string, figure: (sample: Sample) => number): number {
    return Math.max(0, ...this.of(pod).map(figure));
  }

  #look(): Sample[] {
    return this.#agent.kept().flatMap(({ owner, guaranteed, telemetry }) => {
      const snapshot = owner === undefined ? undefined : this.#read(telemetry);
      if (owner === undefined || snapshot === undefined || snapshot.rows.length === 0) return [];
      const usage = usageOf(snapshot.rows);
      const named = usage.pins.map((count, reason): [string, number] => [
        pinNames[reason]?.name ?? String(reason),
        count,
      ]);
      return [
        {
          at: Date.now() - this.#start,
          pod: owner.pod,
          guaranteed: Number(guaranteed),
          live: usage.live_bytes,
          raw: usage.raw_bytes,
          packed: usage.packed_bytes,
          packedLogical: usage.packed_logical,
          host: usage.host_bytes,
          held: usage.held_bytes,
          mode: usage.mode,
          modeGuard: usage.modeGuard,
          modeCause: usage.modeCause,
          penaltyPermille: usage.penaltyPermille,
          backoff: usage.backoff,
          pins: Object.fromEntries(named.filter(([, count]) => count > 0)),
          counters: sums(snapshot.rows),
          events: snapshot.events.map(({ text }) => text),
        },
      ];
    });
  }

  /** Undefined while the program has not set it up. */
  #read(file: string) {
    try {
      return this.#reader.read(file);
    } catch {
      return undefined;
    }
  }

  #card(device: Device): CardSample {
    return {
      at: Date.now() - this.#start,
      usedBytes: device.memory()?.used,
      watts: (device.powerMilliwatts() ?? 0) / 1000,
      celsius: device.temperature(),
      smMHz: device.clocks().sm,
      processes: device.computeProcesses()?.length,
    };
  }

  /** Counters only grow: what /metrics says lies between the file as it was {@link figuresAgeMs} ago and as it is now. */
  async #compare(): Promise<void> {
    const at = Date.now() - this.#start;
    const page = await this.#agent.page("/metrics");
    const after = this.#look();
    writeFileSync(path.join(this.#out, `metrics-${++this.#pages}.txt`), page);
    for (const now of after) {
      const before = this.of(now.pod).findLast((sample) => sample.at < at - figuresAgeMs);
      for (const [counter, name] of Object.entries(compared) as [keyof typeof compared, string][]) {
        const metric = metricOf(page, `loretoken_container_${name}`, now.pod) ?? Number.NaN;
        const [low, high] = [before?.counters[counter] ?? 0, now.counters[counter]];
        this.agreements.push({
          pod: now.pod,
          counter,
          before: low,
          metric,
          after: high,
          agrees: metric >= low && metric <= high,
        });
      }
    }
  }
}

function sums(rows: readonly Row[]): Sample["counters"] {
  const total = (name: (typeof counted)[number]) => rows.reduce((sum, row) => sum + row[name], 0);
  return Object.fromEntries(counted.map((name) => [name, total(name)])) as Sample["counters"];
}

/** Sum over the pod's series of this name; undefined if it has none. */
export function metricOf(page: string, name: string, pod: string): number | undefined {
  const lines = page.split("\n").filter((line) => line.startsWith(`${name}{`) && line.includes(`pod="${pod}"`));
  if (lines.length === 0) return undefined;
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}
