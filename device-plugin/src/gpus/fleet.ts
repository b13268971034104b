/** The node's GPUs: found by NVML, numbered for good, watched for events. That there are none is a state that may pass. */
import type { Device, EventWatcher, Nvml, NvmlState } from "@loretoken/nvml";
import { type Log, messageOf } from "../log.ts";
import type { Probe } from "../monitor/monitor.ts";
import type { GpuNames } from "../plugin/edits.ts";
import { type Seated, type Slots, seat } from "../store/slots.ts";
import { numaNodeOf } from "./numa.ts";

export interface FleetOptions {
  readonly open: () => NvmlState;
  readonly slots: Slots;
  readonly log: Log;
  /** An XID, or 0 for a memory error. `at` is milliseconds since 1970. */
  readonly event: (gpuUuid: string, xid: number, at: number) => void;
  readonly lost: (gpuUuid: string, cause: string) => void;
}

export class Fleet {
  readonly #options: FleetOptions;
  readonly #devices = new Map<string, Device>();
  #nvml: Nvml | undefined;
  #watcher: EventWatcher | undefined;
  #seats: Seated[] = [];
  #unwatched = new Set<string>();
  #watchFailed = true;
  #sentence = "";

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  /** Why there are no GPUs; "" if there are. */
  get absence(): string {
    return this.#nvml === undefined ? this.#sentence : "";
  }

  /** Every known card, those too that are not there now. */
  get cards(): readonly Seated[] {
    return this.#seats;
  }

  get probes(): Probe[] {
    return [...this.#devices.values()];
  }

  /** Known cards that are not there. */
  get missing(): string[] {
    return this.#seats.flatMap(({ uuid }) => (this.#devices.has(uuid) ? [] : [uuid]));
  }

  /**
   * Looks for GPUs, and again for those that were missing. Cheap when all are there.
   * @param held GPUs on which containers live: their numbers are kept though they are missing.
   * @returns whether there are any. @throws {Error} if the numbers cannot be read or kept.
   */
  async look(held: ReadonlySet<string>): Promise<boolean> {
    if (this.#nvml === undefined) {
      const state = this.#options.open();
      if (state.state === "absent") {
        if (this.#sentence !== state.sentence)
          this.#options.log.info({ reason: state.reason, sentence: state.sentence }, "no GPUs");
        this.#sentence = state.sentence;
        return false;
      }
      this.#nvml = state.nvml;
      const known = await this.#options.slots.load();
      const there = new Set(this.#nvml.devices().devices.map(({ uuid }) => uuid));
      this.#seats = known.filter(({ uuid }) => there.has(uuid) || held.has(uuid));
    } else if (this.missing.length === 0 && this.#devices.size > 0) return true;
    await this.#seat(this.#nvml);
    return this.#devices.size > 0;
  }

  names(uuid: string): GpuNames {
    const device = this.#devices.get(uuid);
    const index = device?.index ?? 0;
    return { uuid, index, minor: device?.minorNumber() ?? index };
  }

  numaNode(uuid: string): number | undefined {
    const device = this.#devices.get(uuid);
    return device === undefined ? undefined : numaNodeOf(device.busId);
  }

  /** Begins watching if it is not, or again if a GPU is not watched that answers. Throws nothing. */
  async watch(): Promise<void> {
    const answering = [...this.#devices.values()].filter(
      ({ uuid, state }) => this.#unwatched.has(uuid) && state.state === "working",
    );
    if (this.#nvml === undefined || (!this.#watchFailed && answering.length === 0)) return;
    const { event, lost, log } = this.#options;
    if ((await this.#watcher?.stop()) === "stuck") {
      // Each watcher keeps a thread of the pool: one for a driver that hangs is enough.
      if (!this.#watchFailed) log.warn({ error: "the driver does not return" }, "GPU events are not watched");
      this.#watchFailed = true;
      return;
    }
    this.#watcher = undefined;
    this.#watchFailed = true;
    try {
      this.#watcher = await this.#nvml.watchEvents({
        event: ({ uuid, xid, at }) => event(uuid, xid, at),
        lost: ({ uuid, sentence }) => {
          if (uuid === undefined) return;
          this.#unwatched.add(uuid);
          lost(uuid, sentence);
        },
        failed: (sentence) => {
          this.#watchFailed = true;
          log.warn({ error: sentence }, "GPU events are not watched");
        },
      });
      this.#watchFailed = false;
      // A GPU that offers no events will not offer them later: only those that were lost are tried again.
      this.#unwatched = new Set();
      for (const { uuid, sentence } of this.#watcher.unwatched)
        log.warn({ gpu: uuid, error: sentence }, "GPU events are not watched");
    } catch (error) {
      log.warn({ error: messageOf(error) }, "GPU events are not watched");
    }
  }

  async close(): Promise<void> {
    await this.#watcher?.stop();
    this.#nvml?.close();
    this.#nvml = undefined;
    this.#devices.clear();
  }

  async #seat(nvml: Nvml): Promise<void> {
    const { slots, log } = this.#options;
    const { devices } = nvml.devices();
    const known = new Map(this.#seats.map((card) => [card.uuid, card]));
    const found = devices.map((device) => {
      const physical = BigInt(device.memory()?.total ?? known.get(device.uuid)?.physical ?? 0);
      return { uuid: device.uuid, name: device.name, physical, wish: device.index };
    });
    const seats = seat(this.#seats, found);
    if (JSON.stringify(seats.map(text)) !== JSON.stringify(this.#seats.map(text))) await slots.save(seats);
    this.#seats = seats;
    for (const device of devices) {
      if (!this.#devices.has(device.uuid))
        log.info({ gpu: device.uuid, name: device.name, index: device.index }, "GPU found");
      this.#devices.set(device.uuid, device);
    }
  }
}

function text({ uuid, slot, name, physical }: Seated): string {
  return `${uuid} ${slot} ${name} ${physical}`;
}
