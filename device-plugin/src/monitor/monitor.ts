/**
 * The look at every GPU, again and again: is it well, what do its guardrails say, what do strangers use. What follows goes to the
 * ledger and to the control files, which this also keeps alive by their heartbeat.
 */
import type { DeviceState, Reading } from "@loretoken/nvml";
import { noUse, TelemetryReader } from "@loretoken/telemetry";
import type { Verdict } from "../control/block.ts";
import type { Controls } from "../control/controls.ts";
import { GpuGuard, type GuardSettings, sameVerdict } from "../guard/guard.ts";
import type { Limits } from "../guard/judge.ts";
import type { HealthBook } from "../health/book.ts";
import type { Holding } from "../holding.ts";
import { type Log, messageOf } from "../log.ts";
import type { Observer } from "../observer.ts";
import type { GpuStanding, Ledger } from "../units/ledger.ts";
import { keepSize } from "./telemetry-size.ts";
import { ownUse, Strangers } from "./usage.ts";
import { withFile } from "./with-file.ts";

/** A GPU that can be asked. */
export interface Probe {
  readonly uuid: string;
  /** Its figures, or that it is lost. @throws {Error} if it does not answer. */
  read(): (Reading & { readonly state: "working" }) | Extract<DeviceState, { state: "lost" }>;
}

export interface MonitorOptions {
  readonly ledger: Ledger;
  readonly health: HealthBook;
  readonly controls: Controls;
  readonly guard: GuardSettings;
  readonly contextBytes: bigint;
  readonly telemetryBytes: number;
  readonly observer: Required<Observer>;
  readonly log: Log;
  /** Milliseconds. */
  readonly now: () => number;
  /** Asked between the steps of a round. */
  readonly giveWay: () => Promise<void>;
  /** What is offered, or what is known of the GPUs' health, may have changed. */
  readonly changed: () => void;
}

/** A GPU as the agent knows it, for who reports it. */
export type GpuState = GpuStanding & {
  readonly reading: Reading | undefined;
  readonly verdict: Verdict | undefined;
};

export class Monitor {
  readonly #options: MonitorOptions;
  readonly #guards = new Map<string, GpuGuard>();
  readonly #readings = new Map<string, Reading>();
  readonly #verdicts = new Map<string, Verdict>();
  readonly #strangers = new Strangers();
  readonly #reader = new TelemetryReader();
  #limits: Limits;

  constructor(options: MonitorOptions) {
    this.#options = options;
    this.#limits = options.guard.limits;
  }

  /** What the guardrails go by from the next look on. */
  set limits(limits: Limits) {
    this.#limits = limits;
    for (const guard of this.#guards.values()) guard.limits = limits;
  }

  states(): GpuState[] {
    return this.#options.ledger.gpus().map((standing) => ({
      ...standing,
      reading: this.#readings.get(standing.uuid),
      verdict: this.#verdicts.get(standing.uuid),
    }));
  }

  /**
   * One look at all. `missing` are known GPUs that are not there. Writes every control file. Gives way to other work between
   * the steps: Allocate does not wait for a whole round.
   */
  async round(probes: readonly Probe[], missing: readonly string[]): Promise<void> {
    const { ledger, controls, health, now, changed, giveWay } = this.#options;
    for (const uuid of missing) health.fault(uuid, "the GPU is not there: neither NVML nor the driver finds it", now());
    const used = new Map<string, bigint>();
    for (const probe of probes) {
      const bytes = this.#look(probe);
      if (bytes !== undefined) used.set(probe.uuid, bytes);
      await giveWay();
    }
    // Read after the card's own figure: what a program takes meanwhile then makes no stranger.
    const own = new Map<string, bigint>();
    for (const holding of ledger.holdings()) {
      const bytes = this.#ownUse(holding);
      own.set(holding.gpuUuid, (own.get(holding.gpuUuid) ?? 0n) + bytes);
      await giveWay();
    }
    for (const [uuid, bytes] of used) {
      ledger.setStrangers(uuid, this.#strangers.look(uuid, bytes, own.get(uuid) ?? 0n));
    }
    for (const { uuid } of ledger.gpus()) this.#apply(uuid);
    for (const holding of ledger.holdings()) {
      controls.writeAll([holding]);
      await giveWay();
    }
    changed();
  }

  /** NVML told of an XID or of a memory error (0). Acts at once if it is a fault. @param at milliseconds since 1970 */
  event(gpuUuid: string, xid: number, at: number): void {
    const { health, observer, log, now } = this.#options;
    let fault = true;
    if (xid === 0) health.fault(gpuUuid, "a memory error that could not be corrected", now());
    else fault = health.xid(gpuUuid, xid, now());
    log.warn({ gpu: gpuUuid, xid, fault }, "GPU event");
    observer.xid({ gpuUuid, xid, fault, at });
    if (fault) this.#applyNow(gpuUuid);
  }

  lost(gpuUuid: string, cause: string): void {
    this.#options.health.fault(gpuUuid, cause, this.#options.now());
    this.#applyNow(gpuUuid);
  }

  #applyNow(gpuUuid: string): void {
    const { ledger, controls, changed } = this.#options;
    this.#judge(gpuUuid, undefined);
    this.#apply(gpuUuid);
    controls.writeAll(ledger.holdings().filter((holding) => holding.gpuUuid === gpuUuid));
    changed();
  }

  /** @returns bytes of the card that are used by anyone, if it tells. */
  #look(probe: Probe): bigint | undefined {
    const { health, now } = this.#options;
    const reading = this.#read(probe);
    if (reading === undefined) this.#readings.delete(probe.uuid);
    else {
      this.#readings.set(probe.uuid, reading);
      health.answered(probe.uuid, reading.uncorrectedErrors, now());
    }
    this.#judge(probe.uuid, reading);
    return reading?.memory === undefined ? undefined : BigInt(reading.memory.used);
  }

  #read(probe: Probe): Reading | undefined {
    const { health, now } = this.#options;
    try {
      const answer = probe.read();
      if (answer.state === "working") return answer;
      health.fault(probe.uuid, answer.sentence, now());
    } catch (error) {
      health.fault(probe.uuid, `the GPU does not answer: ${messageOf(error)}`, now());
    }
    return undefined;
  }

  #judge(uuid: string, reading: Reading | undefined): void {
    const { guard, health, controls, observer, log, now } = this.#options;
    const gpuGuard = this.#guards.get(uuid) ?? new GpuGuard({ ...guard, limits: this.#limits });
    this.#guards.set(uuid, gpuGuard);
    const before = this.#verdicts.get(uuid);
    const after = gpuGuard.look(reading, health.xidOf(uuid), now());
    if (after === undefined) this.#verdicts.delete(uuid);
    else this.#verdicts.set(uuid, after);
    controls.setVerdict(uuid, after);
    if (sameVerdict(before, after)) return;
    log.info({ gpu: uuid, before, after }, "guardrail changed");
    observer.verdictChanged({ gpuUuid: uuid, before, after });
  }

  #apply(uuid: string): void {
    const { ledger, health, observer, log } = this.#options;
    const before = ledger.healthOf(uuid);
    const after = health.get(uuid);
    if (before === undefined || before.state === after.state) return;
    ledger.setHealth(uuid, after);
    log.warn({ gpu: uuid, ...after }, "GPU health changed");
    observer.healthChanged({ gpuUuid: uuid, health: after });
  }

  /**
   * Keeps the telemetry file to its size, and reads from it what the container uses. The one look at the file in a round: who
   * reports gets it too.
   */
  #ownUse(holding: Holding): bigint {
    const { telemetryBytes, contextBytes, observer, log } = this.#options;
    try {
      const glance = withFile(holding.telemetry, (file) => {
        const seen = this.#reader.glance(file, holding.telemetry);
        keepSize(file, seen.fileSize, telemetryBytes);
        return seen;
      });
      if (glance.fileSize !== telemetryBytes) {
        const bytes = glance.fileSize;
        log.warn({ allocation: holding.id, owner: holding.owner, bytes }, "telemetry file put to its size");
        observer.telemetryResized({ holding, bytes });
      }
      observer.glanced({ holding, glance });
      return ownUse(holding, glance.use, contextBytes);
    } catch (error) {
      // Released meanwhile, or lost: the container's next start makes a new one.
      observer.glanced({ holding, glance: undefined });
      const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
      if (!missing) log.error({ allocation: holding.id, error: messageOf(error) }, "telemetry file not checked");
      return ownUse(holding, noUse, contextBytes);
    }
  }
}
