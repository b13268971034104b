/** Values of the node agent. Its settings are those of the agent itself, without what the chart sets. */
import { z } from "zod";
import { configSchema } from "../../../device-plugin/src/config/schema.ts";
import { imageOf, openList, openObject, podFields, port, priorityClass, resources, serviceAccount } from "./parts.ts";

/** Set by other values, or by the pod's own fields. */
const byTheChart = {
  resource: true,
  hostFolder: true,
  shimFolder: true,
  pluginFolder: true,
  podResources: true,
  listen: true,
  nodeName: true,
  apiServer: true,
} as const;

/**
 * Each node of a cluster with GPUs has at least one of these: GPU feature discovery and the GPU operator, node feature discovery,
 * the labels of cloud providers, and one of our own for clusters that have none of them.
 */
const gpuNodeLabels = [
  { key: "nvidia.com/gpu.present", operator: "In", values: ["true"] },
  { key: "feature.node.kubernetes.io/pci-10de.present", operator: "In", values: ["true"] },
  { key: "feature.node.kubernetes.io/pci-0300_10de.present", operator: "In", values: ["true"] },
  { key: "feature.node.kubernetes.io/pci-0302_10de.present", operator: "In", values: ["true"] },
  { key: "cloud.google.com/gke-accelerator", operator: "Exists" },
  { key: "k8s.amazonaws.com/accelerator", operator: "Exists" },
  { key: "kubernetes.azure.com/accelerator", operator: "In", values: ["nvidia"] },
  { key: "loretoken.dev/gpu", operator: "In", values: ["true"] },
];

const folder = (fallback: string, about: string) =>
  z
    .string()
    .regex(/^\/[^\s]*[^\s/]$/)
    .meta({ allowed: "an absolute path" })
    .default(fallback)
    .describe(about);

export const agent = z
  .strictObject({
    enabled: z.boolean().default(true).describe("whether nodes get the agent"),
    image: imageOf("agent"),
    settings: configSchema
      .omit(byTheChart)
      .partial()
      .meta({ settings: "agent.md" })
      .describe("Settings of the agent that differ from its defaults."),
    hostFolder: folder("/var/lib/loretoken", "the agent's own folder on the node; not on a file system mounted noexec"),
    kubeletFolder: folder("/var/lib/kubelet", "the kubelet's folder on the node"),
    port: port(9410, "port of /healthz, /readyz and /metrics in the pod's network"),
    hostPID: z
      .boolean()
      .default(false)
      .describe(
        "whether it sees the node's processes; with it the figures of a program that died are taken out at once, without it when its container starts again or its pod ends",
      ),
    runtimeClassName: z
      .string()
      .default("")
      .describe("runtime class that gives pods NVIDIA's driver, often nvidia; empty: the node's default runtime does"),
    gpuNodeLabels: openList
      .default(gpuNodeLabels)
      .describe(
        "a node gets the agent if one of these label expressions holds; []: every node. Unused with an affinity",
      ),
    tolerations: openList
      .default([
        { key: "nvidia.com/gpu", operator: "Exists" },
        { key: "CriticalAddonsOnly", operator: "Exists" },
      ])
      .describe("taints that it tolerates"),
    priorityClassName: priorityClass("system-node-critical"),
    maxUnavailable: z
      .union([z.int().min(1), z.string().regex(/^[1-9][0-9]?%$|^100%$/)])
      .meta({ allowed: "a number of nodes, or a share such as 10%" })
      .default("10%")
      .describe("how many nodes may be without a ready agent while it is replaced; running programs notice nothing"),
    terminationGracePeriodSeconds: z.int().min(1).max(300).default(10).describe("time that it gets to end"),
    seLinuxOptions: openObject
      .default({})
      .describe(
        "SELinux options of its container; where SELinux is enforced it needs a type that may use the kubelet's sockets",
      ),
    resources: resources(
      { requests: { cpu: "50m", memory: "128Mi" }, limits: { memory: "256Mi" } },
      "measured with 8 GPUs and 64 containers: 94 MiB, under 1 % of a core (bench/results)",
    ),
    serviceAccount,
    ...podFields,
  })
  .describe("The node agent, a DaemonSet on GPU nodes.");
