/** The CustomResourceDefinitions, generated to crds/. */
import type { z } from "zod";
import { gpuNode, gpuNodeStatus } from "./gpu-node.ts";
import { group, version } from "./names.ts";
import { compressionPolicy } from "./policy/compression-policy.ts";
import { compressionPolicySpec } from "./policy/spec.ts";
import { compressionPolicyStatus } from "./policy/status.ts";
import { type JsonSchema, structuralSchema } from "./structural.ts";

export interface PrinterColumn {
  name: string;
  type: "string" | "integer" | "date" | "number" | "boolean";
  jsonPath: string;
  description: string;
  /** Above 0: only with -o wide. */
  priority?: number;
}

export interface Definition {
  kind: string;
  plural: string;
  shortNames: string[];
  scope: "Cluster" | "Namespaced";
  description: string;
  spec?: z.ZodType;
  status?: z.ZodType;
  columns: PrinterColumn[];
}

const summary = (field: string): string => `.status.summary.${field}`;

const conditionStatus = (type: string): string => `.status.conditions[?(@.type=="${type}")].status`;

export const definitions: Definition[] = [
  {
    kind: "CompressionPolicy",
    plural: "compressionpolicies",
    shortNames: ["compol"], // cpol is Kyverno's ClusterPolicy
    scope: "Cluster",
    description: compressionPolicy.description ?? "",
    spec: compressionPolicySpec,
    status: compressionPolicyStatus,
    columns: [
      { name: "Priority", type: "integer", jsonPath: ".spec.priority", description: "the highest applies" },
      { name: "Selects", type: "string", jsonPath: ".status.selects", description: "which pods, where" },
      { name: "Pods", type: "integer", jsonPath: ".status.appliedPods", description: "pods that go by it" },
      { name: "Nodes", type: "integer", jsonPath: ".status.appliedNodes", description: "nodes that go by it" },
      { name: "Ratio", type: "string", jsonPath: ".status.ratio", description: "what packing wins" },
      { name: "Saved", type: "string", jsonPath: ".status.saved", description: "memory that packing saves" },
      {
        name: "Applied",
        type: "string",
        jsonPath: conditionStatus("Applied"),
        description: "whether all of them go by its present generation",
      },
      {
        name: "Behind",
        type: "integer",
        jsonPath: ".status.nodesBehind.count",
        description: "nodes that do not go by its present generation yet",
        priority: 1,
      },
      {
        name: "Degraded",
        type: "string",
        jsonPath: conditionStatus("Degraded"),
        description: "whether a guardrail acts on a container",
        priority: 1,
      },
      {
        name: "Conflicting",
        type: "string",
        jsonPath: conditionStatus("Conflicting"),
        description: "whether another policy has some of what it selects",
        priority: 1,
      },
      {
        name: "Suspended",
        type: "boolean",
        jsonPath: ".spec.suspend",
        description: "whether it applies to nothing",
        priority: 1,
      },
      { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp", description: "since when it is there" },
    ],
  },
  {
    kind: "GpuNode",
    plural: "gpunodes",
    shortNames: ["gpun"],
    scope: "Cluster",
    description: gpuNode.description ?? "",
    status: gpuNodeStatus,
    columns: [
      { name: "GPUs", type: "string", jsonPath: summary("gpus"), description: "healthy GPUs, of those there are" },
      {
        name: "Units",
        type: "string",
        jsonPath: summary("units"),
        description: "GiB that containers hold, of those offered",
      },
      {
        name: "Physical",
        type: "string",
        jsonPath: summary("physical"),
        description: "memory of the cards",
        priority: 1,
      },
      {
        name: "Virtual",
        type: "string",
        jsonPath: summary("virtual"),
        description: "memory that containers may be told of",
        priority: 1,
      },
      {
        name: "Raw",
        type: "string",
        jsonPath: summary("raw"),
        description: "GPU memory holding allocations as they are",
      },
      {
        name: "Packed",
        type: "string",
        jsonPath: summary("packed"),
        description: "GPU memory holding packed allocations",
      },
      {
        name: "Host",
        type: "string",
        jsonPath: summary("host"),
        description: "host memory holding packed allocations",
      },
      { name: "Ratio", type: "string", jsonPath: summary("ratio"), description: "what packing wins" },
      { name: "Mode", type: "string", jsonPath: summary("mode"), description: "strictest mode of any container" },
      { name: "Holders", type: "string", jsonPath: summary("holders"), description: "who has what" },
      {
        name: "Policy",
        type: "string",
        jsonPath: ".status.policy",
        description: "the policy that its GPUs go by",
        priority: 1,
      },
      {
        name: "Agent",
        type: "string",
        jsonPath: ".status.agentVersion",
        description: "version of the agent",
        priority: 1,
      },
      { name: "Seen", type: "date", jsonPath: ".status.observedAt", description: "when the figures were read" },
    ],
  },
];

/** As the API server takes it: a plain object, for YAML. */
export function customResourceDefinition(definition: Definition): JsonSchema {
  const { kind, plural, shortNames, scope, description, spec, status, columns } = definition;
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope,
      names: {
        kind,
        plural,
        singular: kind.toLowerCase(),
        listKind: `${kind}List`,
        shortNames,
        categories: ["loretoken"],
      },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          ...(status === undefined ? {} : { subresources: { status: {} } }),
          additionalPrinterColumns: columns,
          schema: {
            openAPIV3Schema: {
              type: "object",
              description,
              properties: {
                apiVersion: { type: "string", description: "Version of this API." },
                kind: { type: "string", description: "Kind of this object." },
                metadata: { type: "object" }, // the API server forbids to say more
                ...(spec === undefined ? {} : { spec: structuralSchema(spec) }),
                ...(status === undefined ? {} : { status: structuralSchema(status) }),
              },
              ...(spec === undefined ? {} : { required: ["spec"] }),
            },
          },
        },
      ],
    },
  };
}
