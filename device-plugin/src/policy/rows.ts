/** What is kept of objects of the API server to decide by: little, for there may be many, and the rest of them changes all the time. */
import { annotations, type CompressionPolicy, compressionPolicy, type Selectable } from "@loretoken/api";
import type { KubeObject } from "@loretoken/kube";
import { z } from "zod";

export interface PodRow extends Selectable {
  readonly uid: string;
}

/** Labels of a namespace or a node. */
export type LabelRow = Selectable;

/** A policy that is understood, or why it is not. */
export type PolicyRow = {
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
} & ({ readonly policy: CompressionPolicy } | { readonly unreadable: string });

const kept: readonly string[] = [annotations.policy, annotations.mode];

export function podRow({ metadata }: KubeObject): PodRow {
  const ours = Object.entries(metadata?.annotations ?? {}).filter(([name]) => kept.includes(name));
  return {
    uid: metadata?.uid ?? "",
    metadata: { labels: metadata?.labels ?? {}, annotations: Object.fromEntries(ours) },
  };
}

export function labelRow({ metadata }: KubeObject): LabelRow {
  return { metadata: { labels: metadata?.labels ?? {} } };
}

/** Fields that this version does not know are left out; one that has another form makes the whole policy unreadable. */
export function policyRow(object: KubeObject): PolicyRow {
  const { name = "", uid = "", generation = 0, creationTimestamp } = object.metadata ?? {};
  const identity = { name, uid, generation };
  const { spec } = object as { spec?: unknown };
  const born = creationTimestamp === undefined ? {} : { creationTimestamp };
  const parsed = compressionPolicy.safeParse({ metadata: { ...identity, ...born }, spec });
  if (parsed.success) return { ...identity, policy: parsed.data };
  return { ...identity, unreadable: z.prettifyError(parsed.error).replaceAll("\n", " ") };
}

/** The label that the API server gives each namespace. */
export const namespaceNameLabel = "kubernetes.io/metadata.name";

/** A namespace of which only its name is known, which is enough for most policies. */
export function namedNamespace(name: string): LabelRow {
  return { metadata: { labels: { [namespaceNameLabel]: name } } };
}

/** Whether a policy asks for more of a namespace than its name. */
export function asksForLabels({ spec: { namespaceSelector } }: CompressionPolicy): boolean {
  const keys = [
    ...Object.keys(namespaceSelector.matchLabels ?? {}),
    ...(namespaceSelector.matchExpressions ?? []).map(({ key }) => key),
  ];
  return keys.some((key) => key !== namespaceNameLabel);
}
