/** CompressionPolicy: which pods and nodes LoreToken serves, and how. Written by people, read by operator and agents. */
import { z } from "zod";
import { selectorText } from "../label-selector.ts";
import { annotations, apiVersion } from "../names.ts";
import { type CompressionPolicySpec, compressionPolicySpec } from "./spec.ts";
import { compressionPolicyStatus } from "./status.ts";

export const compressionPolicy = z
  .object({
    apiVersion: z.literal(apiVersion).default(apiVersion),
    kind: z.literal("CompressionPolicy").default("CompressionPolicy"),
    metadata: z.looseObject({
      name: z.string(),
      generation: z.int().optional(),
      creationTimestamp: z.iso.datetime().optional(),
    }),
    spec: compressionPolicySpec,
    status: compressionPolicyStatus.optional(),
  })
  .describe(
    "Which pods and nodes LoreToken makes GPU memory larger for, by how much, by which means, and where it stops. A changed policy reaches running containers without a restart.",
  );

export type CompressionPolicy = z.output<typeof compressionPolicy>;

/** For paths, as lib/kube takes it. */
export const compressionPolicyResource = {
  apiVersion,
  kind: "CompressionPolicy",
  plural: "compressionpolicies",
  namespaced: false,
} as const;

/** What a policy selects, in one line: "app=train in namespaces team=ml on nodes gpu=h200". */
export function selectionText(spec: CompressionPolicySpec): string {
  const { podSelector, namespaceSelector, nodeSelector } = spec;
  const pods = podSelector === undefined ? `pods with ${annotations.policy}` : selectorText(podSelector) || "all pods";
  const namespaces = selectorText(namespaceSelector);
  const nodes = selectorText(nodeSelector);
  return [
    pods,
    ...(namespaces === "" ? [] : [`in namespaces ${namespaces}`]),
    ...(nodes === "" ? [] : [`on nodes ${nodes}`]),
  ].join(" ");
}
