/** The node agent: all its parts, wired, and their life. */
import { PodResources } from "@loretoken/kubelet";
import type { NvmlState } from "@loretoken/nvml";
import { every, type Loop, type Page, PageServer, type Pages } from "@loretoken/service";
import { telemetry } from "@loretoken/telemetry";
import type { Config } from "./config/schema.ts";
import { policyBlock } from "./control/block.ts";
import { Controls, controlWriters } from "./control/controls.ts";
import { Fleet } from "./gpus/fleet.ts";
import { HealthBook } from "./health/book.ts";
import { HealthKeeper } from "./health/keeper.ts";
import type { Holding } from "./holding.ts";
import { type Log, messageOf } from "./log.ts";
import { type GpuState, Monitor } from "./monitor/monitor.ts";
import { type Observer, observers } from "./observer.ts";
import type { DeliveredShim } from "./plugin/edits.ts";
import { VramPlugin } from "./plugin/plugin.ts";
import { Reconciler } from "./plugin/reconciler.ts";
import { Registrar } from "./plugin/registrar.ts";
import { PolicyDelivery, type PolicyStanding } from "./policy/delivery.ts";
import { NodeRecord } from "./policy/node-record.ts";
import type { PolicySource } from "./policy/sources.ts";
import { ShimDelivery } from "./shim/delivery.ts";
import { diskFiles, type Files } from "./store/files.ts";
import { MedicalRecords } from "./store/medical-records.ts";
import { Slots } from "./store/slots.ts";
import { Store } from "./store/store.ts";
import { Turns } from "./turns.ts";
import { Ledger } from "./units/ledger.ts";

/** The name of the plugin's socket. */
export const endpoint = "loretoken-vram.sock";

/** What the agent takes from the world. Times that are not named otherwise are milliseconds since 1970. */
export interface World {
  readonly version: string;
  readonly log: Log;
  readonly openNvml: () => NvmlState;
  readonly now: () => number;
  /** CLOCK_MONOTONIC in nanoseconds. */
  readonly monotonic: () => bigint;
  readonly newId: () => string;
  /** The agent's own pod, `<namespace>/<name>`, if it runs in one. */
  readonly ownPod?: string | undefined;
  /** "" if it is not known. */
  readonly podUid?: (namespace: string, pod: string) => Promise<string>;
  /** Left out: there are no policies, the settings hold. */
  readonly policies?: PolicySource | undefined;
  readonly observers?: readonly Observer[];
  /** Pages beside /healthz and /readyz. */
  readonly pages?: Pages;
  readonly files?: Files;
}

/** A monitor that has not looked for so long hangs. */
const deadAfter = 60_000;
/** Milliseconds after a container's start in which it is found out whose it is: with others that start now. */
const startedFor = 300;

export class Agent {
  readonly #config: Config;
  readonly #world: World;
  readonly #ledger: Ledger;
  readonly #store: Store;
  readonly #health: HealthBook;
  readonly #keeper: HealthKeeper;
  readonly #delivery: ShimDelivery;
  readonly #controls: Controls;
  readonly #pods: PodResources;
  readonly #fleet: Fleet;
  readonly #monitor: Monitor;
  readonly #reconciler: Reconciler;
  readonly #plugin: VramPlugin;
  readonly #registrar: Registrar;
  readonly #http: PageServer;
  readonly #policies: PolicyDelivery | undefined;
  readonly #loops: Loop[] = [];
  readonly #turns = new Turns();
  #upkeepLoop: Loop | undefined;
  #shim: DeliveredShim | undefined;
  #shimError = "the shim is not delivered yet";
  #serving = false;
  #stopped = false;
  #lookedAt: number;

  constructor(config: Config, world: World) {
    this.#config = config;
    this.#world = world;
    const { hostFolder, reserve, expansion } = config;
    const { log, now, files = diskFiles, newId, version } = world;
    const observer = observers(world.observers ?? []);
    const changed = (): void => {
      this.#plugin.changed();
      this.#keeper.keep();
      this.#policies?.look();
    };
    this.#lookedAt = now();
    this.#ledger = new Ledger({ expansion, reserve });
    this.#store = new Store(hostFolder, files, telemetry.size);
    this.#health = new HealthBook({ ignoredXids: config.ignoredXids, recover: config.recoverSeconds * 1000 });
    this.#keeper = new HealthKeeper(this.#health, new MedicalRecords(hostFolder, files), log);
    this.#delivery = new ShimDelivery({ hostFolder, source: config.shimFolder, version, files });
    const { monotonic, policies } = world;
    const policiesFollow = policies !== undefined;
    const defaults = policyBlock(config);
    this.#controls = new Controls({ defaults, policiesFollow, writers: controlWriters, log, monotonic });
    this.#pods = new PodResources({ socket: config.podResources });
    this.#fleet = new Fleet({
      open: world.openNvml,
      slots: new Slots(hostFolder, files),
      log,
      event: (uuid, xid, at) => this.#monitor.event(uuid, xid, at),
      lost: (uuid, cause) => this.#monitor.lost(uuid, cause),
    });
    const { give: giveWay } = this.#turns;
    const shared = { ledger: this.#ledger, controls: this.#controls, observer, log, now, changed, giveWay };
    this.#monitor = new Monitor({ ...shared, ...monitoring(config), health: this.#health });
    this.#reconciler = new Reconciler({
      ...shared,
      store: this.#store,
      listPods: () => this.#pods.list(config.resource),
      ownPod: world.ownPod,
      podUid: world.podUid ?? (async () => ""),
      grace: config.orphanSeconds * 1000,
    });
    this.#plugin = new VramPlugin({
      ...shared,
      config,
      store: this.#store,
      listPods: () => this.#pods.list(config.resource, 1),
      shim: () => this.#deliveredShim(),
      gpuNames: (uuid) => this.#fleet.names(uuid),
      newId,
      made: (id, shim) => this.#reconciler.made(id, shim),
      turns: this.#turns,
      doubt: () => this.#reconciler.doubt,
      starting: () => this.#upkeepLoop?.soon(startedFor),
    });
    if (policies !== undefined) this.#policies = this.#delivering(policies, files);
    this.#registrar = new Registrar({
      folder: config.pluginFolder,
      endpoint,
      resource: config.resource,
      plugin: this.#plugin,
      log,
      registered: (anew) => anew && this.#reconciler.kubeletStarted(),
    });
    const own: Pages = { "/healthz": () => this.#liveness(), "/readyz": () => this.#readiness() };
    this.#http = new PageServer({ ...own, ...world.pages }, log);
  }

  /** For who reports: allocations, and GPUs, as they are now. */
  readonly holdings = (): readonly Holding[] => this.#ledger.holdings();
  /** For work that takes long: resolves when nothing is more urgent. */
  readonly giveWay = (): Promise<void> => this.#turns.give();
  readonly gpuStates = (): readonly GpuState[] => this.#monitor.states();
  /** Undefined: there are no policies. */
  readonly policies = (): PolicyStanding | undefined => this.#policies?.standing;

  /**
   * Reads what was kept, looks at the GPUs, and registers.
   * @returns the port of its pages. @throws {Error} if it cannot: the host's folder is not to be used, the address is taken.
   */
  async start(): Promise<number> {
    const { log } = this.#world;
    const { guardSeconds, reconcileSeconds, listen } = this.#config;
    await this.#deliver();
    await this.#policies?.restore();
    await this.#adopt();
    this.#policies?.start();
    const port = await this.#http.listen(listen);
    await this.#upkeep();
    if (this.#stopped) return port;
    this.#upkeepLoop = every(reconcileSeconds * 1000, "reconcile", log, () => this.#upkeep());
    this.#loops.push(
      every(guardSeconds * 1000, "guard", log, () => this.#look()),
      this.#upkeepLoop,
    );
    return port;
  }

  /** Unregisters and ends, also while it starts. Containers keep what they have. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#registrar.stop();
    await Promise.all(this.#loops.map((loop) => loop.stop()));
    await this.#policies?.stop();
    this.#http.close();
    await this.#fleet.close();
    this.#pods.close();
    this.#controls.close();
    await this.#keeper.close();
    await this.#store.close();
  }

  #delivering(source: PolicySource, files: Files): PolicyDelivery {
    return new PolicyDelivery({
      own: this.#config,
      source,
      record: new NodeRecord(this.#config.hostFolder, files),
      ledger: this.#ledger,
      controls: this.#controls,
      monitor: this.#monitor,
      log: this.#world.log,
      monotonic: () => Number(this.#world.monotonic() / 1_000_000n),
      changed: () => this.#plugin.changed(),
    });
  }

  async #adopt(): Promise<void> {
    await this.#keeper.restore(this.#world.now());
    const { kept, damaged } = await this.#store.load();
    for (const { id, why, aside } of damaged) {
      const where = aside === undefined ? { folder: this.#store.folder, moved: false } : { folder: aside, moved: true };
      this.#world.log.error({ allocation: id, error: why, ...where }, "damaged allocation put aside");
    }
    this.#reconciler.adopt(kept, damaged.length);
    for (const { holding } of kept) this.#controls.adopt(holding);
    void this.#store.prepare(this.#turns.give);
    if (kept.length > 0) this.#world.log.info({ allocations: kept.length }, "allocations taken up");
  }

  /** All that is done now and then: GPUs that come back, the kubelet's word, the shim's versions. */
  async #upkeep(): Promise<void> {
    if (await this.#findGpus()) await this.#fleet.watch();
    if (this.#shim === undefined) await this.#deliver();
    if (!this.#serving) return;
    await this.#reconciler.round();
    await this.#removeOldShims();
  }

  async #findGpus(): Promise<boolean> {
    const held = new Set(this.#ledger.holdings().map(({ gpuUuid }) => gpuUuid));
    if (!(await this.#fleet.look(held))) return false;
    for (const card of this.#fleet.cards) {
      const { uuid } = card;
      this.#ledger.addGpu({ ...card, numaNode: this.#fleet.numaNode(uuid) }, this.#health.get(uuid));
    }
    if (this.#serving) return true;
    await this.#look();
    this.#serving = true;
    this.#registrar.start();
    return true;
  }

  async #look(): Promise<void> {
    await this.#monitor.round(this.#fleet.probes, this.#fleet.missing);
    this.#lookedAt = this.#world.now();
  }

  async #deliver(): Promise<void> {
    const { log } = this.#world;
    try {
      this.#shim = await this.#delivery.deliver();
      log.info({ version: this.#shim.version }, "shim delivered");
    } catch (error) {
      if (this.#shimError !== messageOf(error)) log.error({ error: messageOf(error) }, "shim not delivered");
      this.#shimError = messageOf(error);
    }
  }

  async #removeOldShims(): Promise<void> {
    const { log } = this.#world;
    if (this.#shim === undefined) return;
    const used = this.#reconciler.shimsInUse().add(this.#shim.version);
    for (const version of await this.#delivery.removeUnused(used)) log.info({ version }, "old shim removed");
  }

  #deliveredShim(): DeliveredShim {
    if (this.#shim === undefined) throw new Error(this.#shimError);
    return this.#shim;
  }

  #liveness(): Page {
    const silent = this.#world.now() - this.#lookedAt;
    if (this.#serving && silent > deadAfter)
      return { status: 500, body: `the GPUs were not looked at for ${silent} ms\n` };
    return { status: 200, body: "ok\n" };
  }

  #readiness(): Page {
    if (this.#fleet.absence !== "") return { status: 200, body: `ok: ${this.#fleet.absence}; nothing to offer\n` };
    if (this.#shim === undefined) return { status: 503, body: `${this.#shimError}\n` };
    if (!this.#registrar.isRegistered) return { status: 503, body: "not registered with the kubelet\n" };
    return { status: 200, body: "ok\n" };
  }
}

function monitoring(config: Config) {
  const milliseconds = (seconds: number): number => seconds * 1000;
  const rail = {
    escalate: milliseconds(config.escalateSeconds),
    release: milliseconds(config.releaseSeconds),
    mostRelease: milliseconds(config.mostReleaseSeconds),
  };
  const { contextSize } = config;
  return {
    guard: { limits: config, rail },
    contextBytes: "bytes" in contextSize ? contextSize.bytes : 0n,
    telemetryBytes: telemetry.size,
  };
}
