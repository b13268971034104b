/** Which policy applies to a pod, and which to a node. Pure: operator, agents and command line come to the same answer. */
import { type Labels, selectorMatches } from "../label-selector.ts";
import { annotations } from "../names.ts";
import type { CompressionPolicy } from "./compression-policy.ts";
import type { OrderedPolicies } from "./order.ts";

/** What is looked at of a pod, a namespace, a node. */
export interface Selectable {
  readonly metadata?: {
    readonly labels?: Labels;
    readonly annotations?: Readonly<Record<string, string>>;
  };
}

/** Policies that select the same pod or node, and do not apply to it; in order. */
interface Others {
  /** Something else comes first: another policy, or the pod's own choice. */
  readonly overruled: readonly CompressionPolicy[];
  readonly suspended: readonly CompressionPolicy[];
}

export type PodPolicy = Others &
  (
    | { readonly kind: "applies"; readonly policy: CompressionPolicy; readonly by: "selectors" | "annotation" }
    /** No policy selects the pod: it goes by its node's settings. So it does in all cases below. */
    | { readonly kind: "none" }
    /** The pod names a policy that is not there. */
    | { readonly kind: "unknown"; readonly name: string }
    /** The pod names a policy that is suspended. */
    | { readonly kind: "suspended"; readonly policy: CompressionPolicy }
    /** The pod names a policy that does not select its namespace or its node. */
    | {
        readonly kind: "outside";
        readonly policy: CompressionPolicy;
        readonly selector: "namespaceSelector" | "nodeSelector";
      }
  );

export interface NodePolicy extends Others {
  /** Undefined: the node goes by its agent's settings. */
  readonly policy: CompressionPolicy | undefined;
}

/**
 * The policy of a pod: the one that it names, if any, else the first that selects it. A name does not fall back: who asks for
 * a policy that cannot apply is told so, and does not get another one. The named policy's podSelector does not matter, for labels and
 * annotation are the pod's own; its namespaceSelector and nodeSelector do, for these are not.
 * @param node undefined if the pod is on none yet: then only policies for all nodes select it.
 */
export function policyFor(
  pod: Selectable,
  namespace: Selectable,
  node: Selectable | undefined,
  policies: OrderedPolicies,
): PodPolicy {
  const selecting = policies.inOrder.filter(
    (policy) =>
      selectorMatches(policy.spec.podSelector, pod.metadata?.labels) &&
      outsideOf(policy, namespace, node) === undefined,
  );
  const suspended = selecting.filter(({ spec }) => spec.suspend);
  const inForce = selecting.filter(({ spec }) => !spec.suspend);
  const name = pod.metadata?.annotations?.[annotations.policy];
  if (name === undefined) {
    const [policy, ...overruled] = inForce;
    if (policy === undefined) return { kind: "none", overruled, suspended };
    return { kind: "applies", policy, by: "selectors", overruled, suspended };
  }
  const named = policies.byName.get(name);
  if (named === undefined) return { kind: "unknown", name, overruled: inForce, suspended };
  const others: Others = {
    overruled: inForce.filter((policy) => policy !== named),
    suspended: suspended.filter((policy) => policy !== named),
  };
  const selector = outsideOf(named, namespace, node);
  if (selector !== undefined) return { kind: "outside", policy: named, selector, ...others };
  if (named.spec.suspend) return { kind: "suspended", policy: named, ...others };
  return { kind: "applies", policy: named, by: "annotation", ...others };
}

/** The policy of a node's GPUs: the first that selects the node and says something for nodes. */
export function nodePolicyFor(node: Selectable, policies: OrderedPolicies): NodePolicy {
  const selecting = policies.inOrder.filter(
    ({ spec }) => saysForNodes(spec) && selectorMatches(spec.nodeSelector, node.metadata?.labels),
  );
  const [policy, ...overruled] = selecting.filter(({ spec }) => !spec.suspend);
  return { policy, overruled, suspended: selecting.filter(({ spec }) => spec.suspend) };
}

/** Whether the policy has a field that applies to nodes. */
export function saysForNodes({ expansion, physicalReserve, guardrails }: CompressionPolicy["spec"]): boolean {
  return [expansion, physicalReserve, guardrails.thermal, guardrails.power].some((field) => field !== undefined);
}

/** The selector that keeps the policy from pods of this namespace on this node. */
function outsideOf(
  { spec }: CompressionPolicy,
  namespace: Selectable,
  node: Selectable | undefined,
): "namespaceSelector" | "nodeSelector" | undefined {
  if (!selectorMatches(spec.namespaceSelector, namespace.metadata?.labels)) return "namespaceSelector";
  const { matchLabels = {}, matchExpressions = [] } = spec.nodeSelector;
  const everyNode = Object.keys(matchLabels).length === 0 && matchExpressions.length === 0;
  const onNode = node === undefined ? everyNode : selectorMatches(spec.nodeSelector, node.metadata?.labels);
  return onNode ? undefined : "nodeSelector";
}
