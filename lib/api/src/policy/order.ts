/** Which policy comes first, where several select the same pod or node. */
import type { CompressionPolicy } from "./compression-policy.ts";

export interface OrderedPolicies {
  /** The first of those that match is the one that applies. */
  readonly inOrder: readonly CompressionPolicy[];
  readonly byName: ReadonlyMap<string, CompressionPolicy>;
}

/** To be done once per change of the policies, not per pod. */
export function orderPolicies(policies: Iterable<CompressionPolicy>): OrderedPolicies {
  const inOrder = [...policies].sort(comparePolicies);
  return { inOrder, byName: new Map(inOrder.map((policy) => [policy.metadata.name, policy])) };
}

/** Negative if `a` comes first: the higher priority, then the older, then by name. Total: 0 only for the same name. */
export function comparePolicies(a: CompressionPolicy, b: CompressionPolicy): number {
  if (a.spec.priority !== b.spec.priority) return b.spec.priority - a.spec.priority;
  const [one, other] = [createdAt(a), createdAt(b)];
  if (one !== other) return one < other ? -1 : 1;
  // By code unit: the same on every machine, whatever its language.
  if (a.metadata.name === b.metadata.name) return 0;
  return a.metadata.name < b.metadata.name ? -1 : 1;
}

/** One that the API server has not stored yet is the youngest. */
function createdAt({ metadata }: CompressionPolicy): number {
  return metadata.creationTimestamp === undefined ? Number.POSITIVE_INFINITY : Date.parse(metadata.creationTimestamp);
}
