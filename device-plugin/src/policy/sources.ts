/**
 * What the API server says of policies, of this node's pods, of the node and of namespaces, kept up to date by watches. Namespaces are
 * watched from the first policy on that asks for more of them than their names; most clusters have none such.
 */
import { compressionPolicyResource, type OrderedPolicies, orderPolicies } from "@loretoken/api";
import { type Client, type KubeObject, Reflector, type ReflectorObserver, type Resource } from "@loretoken/kube";
import { type Log, messageOf } from "../log.ts";
import type { Picture } from "./decide.ts";
import {
  asksForLabels,
  type LabelRow,
  labelRow,
  namedNamespace,
  type PodRow,
  type PolicyRow,
  podRow,
  policyRow,
} from "./rows.ts";

export interface SourcesOptions {
  readonly client: Client;
  /** Name of the Node. */
  readonly node: string;
  readonly log: Log;
}

/** Where policies come from, for who delivers them. */
export interface PolicySource {
  /** Undefined: policies or the node are not known yet. What was known stays known while the API server is away. */
  picture(): Picture | undefined;
  /** @param changed called after each change; must not throw */
  run(changed: () => void, signal: AbortSignal): Promise<void>;
}

const pods: Resource = { apiVersion: "v1", kind: "Pod", plural: "pods", namespaced: true };
const nodes: Resource = { apiVersion: "v1", kind: "Node", plural: "nodes", namespaced: false };
const namespaces: Resource = { apiVersion: "v1", kind: "Namespace", plural: "namespaces", namespaced: false };
/** Whole pods of so many are in memory at a time; the others are small. */
const podsPerPage = 20;

export class PolicySources implements PolicySource {
  readonly #options: SourcesOptions;
  readonly #policies: Reflector<KubeObject, PolicyRow>;
  readonly #pods: Reflector<KubeObject, PodRow>;
  readonly #node: Reflector<KubeObject, LabelRow>;
  readonly #namespaces: Reflector<KubeObject, LabelRow>;
  #ordered: { readonly policies: OrderedPolicies; readonly unreadable: ReadonlySet<string> } | undefined;
  /** Starts the watch of namespaces. */
  #namespacesWanted: (() => void) | undefined;
  #namespacesWatched = false;

  constructor(options: SourcesOptions) {
    const { client, node, log } = options;
    this.#options = options;
    const observer = (kind: string): ReflectorObserver => observing(kind, log);
    this.#policies = new Reflector({
      client,
      resource: compressionPolicyResource,
      project: policyRow,
      observer: observer("CompressionPolicy"),
    });
    this.#pods = new Reflector({
      client,
      resource: pods,
      fieldSelector: `spec.nodeName=${node}`,
      pageSize: podsPerPage,
      project: podRow,
      observer: observer("Pod"),
    });
    this.#node = new Reflector({
      client,
      resource: nodes,
      fieldSelector: `metadata.name=${node}`,
      project: labelRow,
      observer: observer("Node"),
    });
    this.#namespaces = new Reflector({
      client,
      resource: namespaces,
      project: labelRow,
      observer: observer("Namespace"),
    });
  }

  picture(): Picture | undefined {
    if (this.#policies.resourceVersion === "" || this.#node.resourceVersion === "") return undefined;
    const { policies, unreadable } = this.#inOrder();
    return {
      policies,
      unreadable,
      // A Node that is not there has no labels.
      node: this.#node.store.get(this.#options.node) ?? { metadata: {} },
      pod: (namespace, name) => this.#pods.store.get(`${namespace}/${name}`),
      namespace: (name) => (this.#namespacesWatched ? this.#namespaces.store.get(name) : namedNamespace(name)),
    };
  }

  async run(changed: () => void, signal: AbortSignal): Promise<void> {
    const running: Promise<void>[] = [];
    this.#namespacesWanted = () => {
      this.#namespacesWatched = true;
      running.push(this.#namespaces.run(signal));
    };
    const tell = { onAdd: changed, onUpdate: changed, onDelete: changed };
    const policyChanged = (): void => {
      this.#ordered = undefined;
      changed();
    };
    this.#policies.subscribe({
      onAdd: (row) => this.#toldOnce(row),
      onUpdate: (before, row) => before.generation !== row.generation && this.#toldOnce(row),
    });
    this.#policies.subscribe({ onAdd: policyChanged, onUpdate: policyChanged, onDelete: policyChanged });
    for (const reflector of [this.#pods, this.#node, this.#namespaces]) reflector.subscribe(tell);
    // A list of nothing calls no handler.
    for (const { synced } of [this.#policies, this.#node]) synced.then(changed, () => undefined);
    await Promise.all([this.#policies, this.#pods, this.#node].map((reflector) => reflector.run(signal)));
    await Promise.all(running);
  }

  /** Worked out when policies have changed, and then when it is asked for. */
  #inOrder(): { readonly policies: OrderedPolicies; readonly unreadable: ReadonlySet<string> } {
    if (this.#ordered !== undefined) return this.#ordered;
    const rows = [...this.#policies.store.values()];
    const understood = rows.flatMap((row) => ("policy" in row ? [row.policy] : []));
    const unreadable = new Set(rows.flatMap((row) => ("unreadable" in row ? [row.name] : [])));
    this.#ordered = { policies: orderPolicies(understood), unreadable };
    if (!this.#namespacesWatched && understood.some(asksForLabels)) this.#namespacesWanted?.();
    return this.#ordered;
  }

  #toldOnce(row: PolicyRow): void {
    if (!("unreadable" in row)) return;
    const { name: policy, generation, unreadable: error } = row;
    this.#options.log.warn({ policy, generation, error }, "CompressionPolicy skipped");
  }
}

/** Each trouble is told once until it is over. */
function observing(kind: string, log: Log): ReflectorObserver {
  let told = "";
  const well = (): void => {
    if (told !== "") log.info({ kind }, "API server followed again");
    told = "";
  };
  return {
    listed: well,
    watchStarted: well,
    failed(what, error) {
      const now = messageOf(error);
      if (told === now) return;
      told = now;
      log.warn({ kind, what, error: now }, "API server not followed");
    },
  };
}
