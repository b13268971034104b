/**
 * Carries policies out: the node's to ledger and guardrails, each container's to its control file. Looks anew after each change of
 * what the API server says, or of who holds what, and writes what has become another. Waits for nobody: until the API server has said
 * something, containers keep what they had, and the node goes by what the agent before kept.
 */
import { isDeepStrictEqual } from "node:util";
import { type CompressionPolicy, mostUnreadable } from "@loretoken/api";
import type { Controls } from "../control/controls.ts";
import type { Limits } from "../guard/judge.ts";
import type { Holding } from "../holding.ts";
import { type Log, messageOf } from "../log.ts";
import type { Ledger } from "../units/ledger.ts";
import {
  type ContainerDecision,
  decideContainer,
  decideNode,
  type NodeDecision,
  nodeDecision,
  type Own,
} from "./decide.ts";
import type { NodeRecord } from "./node-record.ts";
import type { PolicySource } from "./sources.ts";

export interface DeliveryOptions {
  readonly own: Own;
  readonly source: PolicySource;
  readonly record: NodeRecord;
  readonly ledger: Pick<Ledger, "holdings"> & { settings: Ledger["settings"] };
  readonly controls: Pick<Controls, "setPolicy" | "writeAll"> & { defaults: Controls["defaults"] };
  readonly monitor: { limits: Limits };
  readonly log: Log;
  /** Milliseconds that never step back. */
  readonly monotonic: () => number;
  /** What is offered may have changed. */
  readonly changed: () => void;
}

/** For who reports. */
export interface PolicyStanding {
  /** Undefined: nothing is known yet. */
  readonly node: Omit<NodeDecision, "shares" | "limits" | "defaults"> | undefined;
  /** The first of them by name. */
  readonly unreadable: readonly string[];
  /** Seconds from hearing of the last change that mattered until all control files had it. */
  readonly deliverySeconds: number | undefined;
  container(id: string): ContainerDecision | undefined;
}

/** Milliseconds in which changes are gathered: an object that is applied with others comes with them. */
const gather = 50;

export class PolicyDelivery {
  readonly #options: DeliveryOptions;
  readonly #containers = new Map<string, ContainerDecision>();
  readonly #ending = new AbortController();
  #running: Promise<void> | undefined;
  #node: NodeDecision;
  #known = false;
  #unreadable: readonly string[] = [];
  #nodePolicy: CompressionPolicy | undefined;
  #saving: Promise<void> = Promise.resolve();
  #deliverySeconds: number | undefined;
  /** When the first change was heard that is not carried out yet. */
  #changedAt: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #seen: readonly Holding[] | undefined;

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#node = nodeDecision(options.own, undefined);
  }

  get standing(): PolicyStanding {
    const { policy, generation, reason } = this.#node;
    return {
      node: this.#known ? { policy, generation, reason } : undefined,
      unreadable: this.#unreadable,
      deliverySeconds: this.#deliverySeconds,
      container: (id) => this.#containers.get(id),
    };
  }

  /** Takes up what the node went by. What cannot be read is told, and the agent's settings hold. */
  async restore(): Promise<void> {
    const { record, own, log } = this.#options;
    try {
      this.#nodePolicy = await record.load();
    } catch (error) {
      log.error({ error: messageOf(error) }, "node's policy of before not known");
    }
    this.#applyNode(nodeDecision(own, this.#nodePolicy));
  }

  start(): void {
    const heard = (): void => {
      this.#changedAt ??= this.#options.monotonic();
      this.#timer ??= setTimeout(() => this.#carryOut(), gather);
    };
    this.#running = this.#options.source.run(heard, this.#ending.signal);
  }

  /** Who holds what may have changed. Cheap if it has not. */
  look(): void {
    if (this.#options.ledger.holdings() !== this.#seen) this.#carryOut();
  }

  /** Containers keep what they have. */
  async stop(): Promise<void> {
    this.#ending.abort();
    clearTimeout(this.#timer);
    await this.#running;
    await this.#saving;
  }

  #carryOut(): void {
    const { source, own, ledger, controls, monotonic } = this.#options;
    const since = this.#changedAt;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#changedAt = undefined;
    if (this.#ending.signal.aborted) return;
    const picture = source.picture();
    if (picture === undefined) return;
    const node = decideNode(own, picture);
    this.#keep(node.reason === "Applied" ? picture.policies.byName.get(node.policy) : undefined);
    const nodeChanged = this.#applyNode(node);
    this.#known = true;
    this.#unreadable = [...picture.unreadable].sort().slice(0, mostUnreadable);
    const holdings = ledger.holdings();
    this.#seen = holdings;
    this.#forget(holdings);
    const changed = holdings.filter((holding) => this.#decide(holding, decideContainer(own, node, holding, picture)));
    controls.writeAll(nodeChanged ? holdings : changed);
    if (since !== undefined && (nodeChanged || changed.length > 0)) {
      this.#deliverySeconds = (monotonic() - since) / 1000;
    }
  }

  /** @returns whether its control file is to be another */
  #decide({ id, owner }: Holding, decision: ContainerDecision | undefined): boolean {
    if (decision === undefined) return false;
    const before = this.#containers.get(id);
    if (isDeepStrictEqual(before, decision)) return false;
    this.#containers.set(id, decision);
    const same = before !== undefined && isDeepStrictEqual(before.block, decision.block);
    if (!same) this.#options.controls.setPolicy(id, decision.block);
    const { policy, generation, reason } = decision;
    if (before !== undefined || reason !== "None") {
      this.#options.log.info({ allocation: id, owner, policy, generation, reason }, "container's policy changed");
    }
    return !same;
  }

  #forget(holdings: readonly Holding[]): void {
    const held = new Set(holdings.map(({ id }) => id));
    for (const id of this.#containers.keys()) if (!held.has(id)) this.#containers.delete(id);
  }

  /** @returns whether containers without a policy go by something else now */
  #applyNode(node: NodeDecision): boolean {
    const { ledger, controls, monitor, log, changed } = this.#options;
    const before = this.#node;
    this.#node = node;
    if (isDeepStrictEqual(before, node)) return false;
    const { policy, generation, reason, shares, limits, defaults } = node;
    log.info({ policy, generation, reason, expansion: shares.expansion }, "node's policy changed");
    if (!isDeepStrictEqual(before.shares, shares)) {
      ledger.settings = shares;
      changed();
    }
    if (!isDeepStrictEqual(before.limits, limits)) monitor.limits = limits;
    if (isDeepStrictEqual(before.defaults, defaults)) return false;
    controls.defaults = defaults;
    return true;
  }

  #keep(policy: CompressionPolicy | undefined): void {
    const { record, log } = this.#options;
    if (isDeepStrictEqual(policy, this.#nodePolicy)) return;
    this.#nodePolicy = policy;
    this.#saving = this.#saving
      .then(() => record.save(policy))
      .catch((error: unknown) => log.error({ error: messageOf(error) }, "node's policy not kept"));
  }
}
