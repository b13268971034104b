/**
 * Keeps the node's GpuNode up to date by server-side apply: at most every `every` milliseconds, and only when something
 * changed. What merely flickers (degrees, watts, a percent of memory) is no change by itself; it is written every
 * `flickerEvery`. So a thousand idle nodes do not keep the API server busy.
 */
import { fieldOwners, type GpuNode, type GpuNodeStatus, gpuNodeResource } from "@loretoken/api";
import { apply, type Client, type Clock, hasCode, type OwnerReference, systemClock } from "@loretoken/kube";
import { type Log, messageOf } from "../log.ts";

export interface GpuNodeWriterOptions {
  client: Client;
  node: string;
  status: () => GpuNodeStatus;
  log: Log;
  /** The Node: the GpuNode goes with it. Asked when the object is made, and now and then while nobody knows it. Throws nothing. */
  owner: (signal?: AbortSignal) => Promise<OwnerReference | undefined>;
  clock?: Clock;
  random?: () => number;
  every?: number;
  flickerEvery?: number;
  /** Written anew even without a change: someone may have deleted it. */
  renewEvery?: number;
}

export class GpuNodeWriter {
  readonly writes = { ok: 0, error: 0 };
  readonly #options: Required<GpuNodeWriterOptions>;
  #written: { status: GpuNodeStatus; at: number } | undefined;
  /** Whether the object is there, as far as is known. */
  #there = false;
  #owner: OwnerReference | undefined;
  #ownerAskedAt = Number.NEGATIVE_INFINITY;
  #failures = 0;

  constructor(options: GpuNodeWriterOptions) {
    this.#options = {
      clock: systemClock,
      random: Math.random,
      every: 10_000,
      flickerEvery: 60_000,
      renewEvery: 300_000,
      ...options,
    };
  }

  /** Writes until `signal` aborts. Errors are logged, and tried again later. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      await this.step(signal);
      await clock.sleep(this.#pause(), signal);
    }
  }

  /** Writes if there is something to write. Never throws. */
  async step(signal?: AbortSignal): Promise<void> {
    const { clock, log, node } = this.#options;
    const status = this.#options.status();
    if (!this.#worthWriting(status)) return;
    try {
      await this.#write(status, signal);
      this.#written = { status, at: clock.now() };
      this.writes.ok += 1;
      if (this.#failures > 0) log.info({ node, failures: this.#failures }, "GpuNode written again");
      this.#failures = 0;
    } catch (error) {
      if (signal?.aborted) return;
      this.writes.error += 1;
      this.#failures += 1;
      this.#there = false;
      log.warn({ node, error: messageOf(error), failures: this.#failures }, "GpuNode not written");
    }
  }

  #worthWriting(status: GpuNodeStatus): boolean {
    if (this.#written === undefined) return true;
    const { flickerEvery, renewEvery, clock } = this.#options;
    const age = clock.now() - this.#written.at;
    if (age >= renewEvery) return true;
    const { observedAt: _now, ...now } = status;
    const { observedAt: _then, ...before } = this.#written.status;
    return age >= flickerEvery ? JSON.stringify(now) !== JSON.stringify(before) : differs(before, now);
  }

  async #write(status: GpuNodeStatus, signal?: AbortSignal): Promise<void> {
    if (!this.#there || this.#ownerIsDue()) await this.#make(signal);
    try {
      await this.#apply({ status }, "status", signal);
    } catch (error) {
      if (!hasCode(error, 404)) throw error;
      // Someone deleted it.
      await this.#make(signal);
      await this.#apply({ status }, "status", signal);
    }
    this.#there = true;
  }

  #ownerIsDue(): boolean {
    const { clock, renewEvery } = this.#options;
    return this.#owner === undefined && clock.now() - this.#ownerAskedAt >= renewEvery;
  }

  async #make(signal?: AbortSignal): Promise<void> {
    this.#ownerAskedAt = this.#options.clock.now();
    this.#owner = await this.#options.owner(signal);
    await this.#apply({}, undefined, signal);
  }

  async #apply(part: Pick<GpuNode, "status">, subresource: "status" | undefined, signal?: AbortSignal): Promise<void> {
    const { client, node } = this.#options;
    const owned = this.#owner !== undefined && subresource === undefined;
    const ownerReferences = owned ? { ownerReferences: [this.#owner as OwnerReference] } : {};
    await apply(client, {
      resource: gpuNodeResource,
      object: { metadata: { name: node, ...ownerReferences }, ...part },
      fieldOwner: fieldOwners.agent,
      ...(subresource === undefined ? {} : { subresource }),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  /** Longer after failures, up to a minute, and spread: a thousand agents do not come back at once. */
  #pause(): number {
    const { every, random } = this.#options;
    if (this.#failures === 0) return every;
    return Math.min(every * 2 ** (this.#failures - 1), Math.max(every, 60_000)) * (1 + 0.5 * random());
  }
}

/** Whether anything changed by more than it flickers. */
function differs(before: unknown, now: unknown, name = ""): boolean {
  if (typeof before !== "object" || before === null || typeof now !== "object" || now === null) {
    return before !== now && !flickers(name, before, now);
  }
  const names = new Set([...Object.keys(before), ...Object.keys(now)]);
  const field = (of: object, key: string): unknown => (of as Record<string, unknown>)[key];
  return [...names].some((key) => differs(field(before, key), field(now, key), key));
}

const memoryNames = new Set(["raw", "packed", "host"]);
const warmth: Record<string, number> = { temperatureCelsius: 2, marginCelsius: 2, powerWatts: 20 };

function flickers(name: string, before: unknown, now: unknown): boolean {
  const tolerance = warmth[name];
  if (tolerance !== undefined) return Math.abs(Number(before) - Number(now)) <= tolerance;
  if (name === "ratio") return Math.abs(Number(before) - Number(now)) <= 0.02;
  if (!memoryNames.has(name)) return false;
  const [a, b] = [bytesOf(before), bytesOf(now)];
  return Math.abs(a - b) <= 0.02 * Math.max(a, b);
}

function bytesOf(quantity: unknown): number {
  const match = /^([0-9.]+)([MG]i)?$/.exec(String(quantity));
  return match === null ? Number.NaN : Number(match[1]) * (match[2] === "Gi" ? 1024 : 1);
}
