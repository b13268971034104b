/** What the kubelet asks: which units there are, which go well together, and to give some to a container. */
import {
  type AllocateAnswer,
  type AllocateRequest,
  type DevicePlugin,
  type Devices,
  deviceHealth,
  type PodList,
  type PreferredAllocationRequest,
  type PreferredAnswer,
  type PreStartContainerRequest,
} from "@loretoken/kubelet";
import type { Config } from "../config/schema.ts";
import type { Controls } from "../control/controls.ts";
import type { Holding } from "../holding.ts";
import { type Log, messageOf } from "../log.ts";
import type { Observer } from "../observer.ts";
import type { Store } from "../store/store.ts";
import type { Turns } from "../turns.ts";
import { AllocationError } from "../units/errors.ts";
import { unitSet } from "../units/ids.ts";
import type { Ledger, OfferedUnit, Plan } from "../units/ledger.ts";
import { preferUnits } from "../units/prefer.ts";
import { containerEdits, type DeliveredShim, type Edits, type GpuNames } from "./edits.ts";

export interface PluginOptions {
  readonly config: Pick<Config, "resource" | "gpuAccess" | "cdiKind" | "cdiNames" | "driverFolder">;
  readonly ledger: Ledger;
  readonly store: Store;
  readonly controls: Controls;
  /** Who holds what, by the kubelet's word; one try. */
  readonly listPods: () => Promise<PodList>;
  /** The shim on the host. @throws {Error} saying why it is not there. */
  readonly shim: () => DeliveredShim;
  readonly gpuNames: (uuid: string) => GpuNames;
  readonly observer: Required<Observer>;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** A name that no allocation had before. */
  readonly newId: () => string;
  readonly turns: Turns;
  /** Why no unit can be told to be free now; "" if they can. */
  readonly doubt: () => string;
  /** A container is about to start; the kubelet can tell whose it is by now. */
  readonly starting?: () => void;
  /** An allocation is on record now, with this version of the shim. */
  readonly made: (id: string, shim: string) => void;
}

export class VramPlugin implements DevicePlugin {
  /** Asked before every start of a container, so that one that starts again begins with clean telemetry. */
  readonly options = { getPreferredAllocationAvailable: true, preStartRequired: true };
  readonly #options: PluginOptions;
  readonly #watchers = new Set<(devices: Devices) => void>();
  #last: readonly OfferedUnit[] = [];

  constructor(options: PluginOptions) {
    this.#options = options;
  }

  watch(send: (devices: Devices) => void): { ended(): void } {
    this.#watchers.add(send);
    send(this.#devices());
    return { ended: () => void this.#watchers.delete(send) };
  }

  /** Tells who watches, if the list is another than before. */
  changed(): void {
    const offered = this.#options.ledger.offered();
    if (offered === this.#last || offered.length + this.#last.length === 0) return;
    this.#last = offered;
    const devices = this.#devices();
    this.#options.log.info(
      { units: offered.length, unhealthy: offered.filter(({ healthy }) => !healthy).length },
      "list of units changed",
    );
    for (const send of this.#watchers) send(devices);
  }

  async preferred({ containerRequests }: PreferredAllocationRequest): Promise<PreferredAnswer> {
    const containerResponses = containerRequests.map(
      ({ availableDeviceIDs, mustIncludeDeviceIDs, allocationSize }) => ({
        deviceIDs: preferUnits({ available: availableDeviceIDs, must: mustIncludeDeviceIDs, size: allocationSize }),
      }),
    );
    return { containerResponses };
  }

  /** All containers of the request or none. @throws {AllocationError} */
  async allocate(request: AllocateRequest): Promise<AllocateAnswer> {
    const { turns, store } = this.#options;
    const answer = await turns.call(() => this.#allocate(request));
    void store.prepare(turns.give);
    return answer;
  }

  async #allocate({ containerRequests }: AllocateRequest): Promise<AllocateAnswer> {
    const done: Holding[] = [];
    const containerResponses: Edits[] = [];
    try {
      for (const { devicesIds } of containerRequests) {
        const { holding, edits } = await this.#give(devicesIds);
        done.push(holding);
        containerResponses.push(edits);
      }
    } catch (error) {
      for (const holding of done) await this.#takeBack(holding);
      throw this.#refusal(error);
    }
    return { containerResponses };
  }

  /**
   * A container is about to start, for the first time or again. @throws {AllocationError} if nothing on record is what it holds:
   * its mounts are then gone too, and only a new pod gets new ones.
   */
  preStart(request: PreStartContainerRequest): Promise<void> {
    return this.#options.turns.call(() => this.#preStart(request));
  }

  async #preStart({ devicesIds }: PreStartContainerRequest): Promise<void> {
    const { ledger, store, controls, observer, log } = this.#options;
    const wanted = unitSet(devicesIds);
    const held = ledger.holdings().filter(({ units }) => units.join() === wanted);
    if (held.length === 0) {
      throw this.#refusal(
        new AllocationError(
          "UnknownUnit",
          `no allocation on this node holds these ${devicesIds.length} units: the agent's folder ${store.folder} was emptied, or its record there damaged; ` +
            "delete the pod so that a new one is allocated",
        ),
      );
    }
    this.#options.starting?.();
    // Several are an init container and one that was given its units: only one of them ever runs.
    for (const holding of held) {
      observer.renewing(holding);
      await store.renewTelemetry(holding.id);
      controls.ensure(holding);
      log.debug({ allocation: holding.id }, "container starts");
    }
  }

  async #give(ids: readonly string[]): Promise<{ holding: Holding; edits: Edits }> {
    const { ledger, store, controls, gpuNames, config, log, now, newId } = this.#options;
    const shim = this.#shim();
    const plan = await this.#planFor(ids);
    const id = newId();
    const { units, guaranteed, virtualSize } = plan;
    const files = store.filesOf(id);
    const holding = { id, gpuUuid: plan.gpu.uuid, units, guaranteed, virtualSize, allocatedAt: now(), ...files };
    const edits = containerEdits(holding, shim, gpuNames(plan.gpu.uuid), config);
    ledger.put(holding);
    try {
      await store.create({ holding, shim: shim.version }, (path) => controls.create(holding, path));
    } catch (error) {
      ledger.remove(id);
      controls.forget(id);
      throw new AllocationError("NodeNotReady", `nothing was allocated: ${messageOf(error)}`, { cause: error });
    }
    this.#options.made(id, shim.version);
    const size = { guaranteed: String(guaranteed), virtualSize: String(virtualSize) };
    log.info({ allocation: id, gpu: holding.gpuUuid, units: units.length, ...size }, "allocated");
    return { holding, edits };
  }

  /** From its end to the entry in the ledger nothing waits. */
  async #planFor(ids: readonly string[]): Promise<Plan> {
    const { ledger, doubt } = this.#options;
    const plan = ledger.plan(ids);
    if (doubt() !== "") throw new AllocationError("NodeNotReady", doubt(), { gpuUuid: plan.gpu.uuid });
    if (plan.rivals.length === 0) return plan;
    await this.#checkFree(plan);
    const gone = new Set(plan.rivals.map(({ id }) => id));
    const again = ledger.plan(ids, gone);
    if (again.rivals.length === 0) return again;
    throw new AllocationError("UnitsAlreadyGiven", "another container was given these units in this moment", {
      gpuUuid: again.gpu.uuid,
    });
  }

  /**
   * Units that are on record with others are free if the kubelet, who gives them out, lists no container that has them: the others
   * are of a pod that is gone, or an init container of the same pod, whose units its containers get first.
   */
  async #checkFree({ units, rivals, gpu }: Plan): Promise<void> {
    const { listPods, log } = this.#options;
    const wanted = new Set(units);
    const held = await listPods().catch((error: unknown) => {
      throw new AllocationError(
        "NodeNotReady",
        `${units.length} units are on record as given, and the kubelet does not say whether their container still lives: ` +
          messageOf(error),
        { gpuUuid: gpu.uuid, cause: error },
      );
    });
    const holder = held.containers.find(({ ids }) => ids.some((id) => wanted.has(id)));
    if (holder === undefined) {
      log.info({ allocations: rivals.map(({ id }) => id) }, "units given again");
      return;
    }
    const shared = holder.ids.filter((id) => wanted.has(id));
    throw new AllocationError(
      "UnitsAlreadyGiven",
      `${shared.length} of ${units.length} units are given already: container ${holder.container} of pod ` +
        `${holder.namespace}/${holder.pod} has ${shared.slice(0, 5).join(", ")}`,
      { gpuUuid: gpu.uuid },
    );
  }

  #shim(): DeliveredShim {
    try {
      return this.#options.shim();
    } catch (error) {
      throw new AllocationError("NodeNotReady", messageOf(error), { cause: error });
    }
  }

  async #takeBack({ id }: Holding): Promise<void> {
    const { ledger, store, controls, log } = this.#options;
    ledger.remove(id);
    controls.forget(id);
    await store.remove(id).catch((error: unknown) => {
      log.error({ allocation: id, error: messageOf(error) }, "allocation not removed");
    });
  }

  #refusal(error: unknown): unknown {
    const { observer, log } = this.#options;
    if (!(error instanceof AllocationError)) {
      log.error({ error: messageOf(error) }, "allocation failed");
      return error;
    }
    const { reason, message, gpuUuid } = error;
    log.warn({ reason, error: message, gpu: gpuUuid }, "allocation refused");
    observer.refused({ reason, message, gpuUuid });
    return error;
  }

  #devices(): Devices {
    return this.#options.ledger.offered().map(({ id, healthy, gpu: { numaNode } }) => ({
      ID: id,
      health: healthy ? deviceHealth.healthy : deviceHealth.unhealthy,
      ...(numaNode === undefined ? {} : { topology: { nodes: [{ ID: BigInt(numaNode) }] } }),
    }));
  }
}
