/** GpuNode: what the GPUs of one node hold and for whom. Written by the node's agent, read by people and by the operator. */
import { z } from "zod";
import { count, mapList, memory, mode, ratio } from "./fields.ts";
import { apiVersion } from "./names.ts";

/** Policies that are named as not understood. */
export const mostUnreadable = 16;

const usage = {
  raw: memory("GPU memory that holds allocations as they are"),
  packed: memory("GPU memory that holds packed allocations"),
  host: memory("Host memory that holds packed allocations"),
  ratio: ratio("Bytes of packed allocations over the bytes they take"),
};

/**
 * Why a container goes by the policy that is named beside it, or by none. Applied: it goes by it. In all other cases it goes by its
 * node's settings, but for Pending: it keeps what it had.
 */
export const containerPolicyReasons = [
  "Applied",
  "None",
  "Suspended",
  "UnknownPolicy",
  "UnreadablePolicy",
  "OutsideNamespaceSelector",
  "OutsideNodeSelector",
  "Pending",
] as const;
export const nodePolicyReasons = ["Applied", "None", "Suspended", "Pending"] as const;

const reasonWords: Record<(typeof containerPolicyReasons)[number], string> = {
  Applied: "it goes by that policy",
  None: "no policy selects it",
  Suspended: "that policy would apply, but is suspended",
  UnknownPolicy: "its pod names a policy that is not there",
  UnreadablePolicy: "its pod names a policy of another version, which the agent does not understand",
  OutsideNamespaceSelector: "its pod names a policy that does not select its namespace",
  OutsideNodeSelector: "its pod names a policy that does not select its node",
  Pending: "the agent has not heard yet what it needs to know; it keeps what it had",
};

/** Left out by agents of before: these may write while a cluster is upgraded. */
function policyFields<R extends keyof typeof reasonWords>(what: string, reasons: readonly [R, ...R[]]) {
  const words = reasons.map((reason) => `${reason}: ${reasonWords[reason]}`).join("; ");
  return {
    policy: z
      .string()
      .optional()
      .describe(`Name of the policy that the ${what} goes by, or that policyReason is about; empty if there is none.`),
    policyGeneration: z
      .int()
      .min(0)
      .optional()
      .describe("Generation of that policy that was carried out, or that policyReason is about; 0 if there is none."),
    policyReason: z.enum(reasons).optional().describe(`Why. ${words}.`),
  };
}

export const gpuContainer = z
  .object({
    namespace: z.string().describe("Namespace of the pod."),
    pod: z.string().describe("Name of the pod."),
    podUid: z.string().describe("UID of the pod; empty until it is known."),
    container: z.string().describe("Name of the container within the pod."),
    units: count("Units of loretoken.dev/vram that the container holds."),
    guaranteed: memory("GPU memory that is kept for the container whatever others do"),
    virtual: memory("GPU memory that the container's programs are told they have"),
    ...usage,
    processes: count("Processes of the container that use the GPU now."),
    mode: mode("The strictest mode of the container's processes"),
    modeCause: z.string().describe("Why that mode, in words; empty if the policy asks for it."),
    ...policyFields("container", containerPolicyReasons),
  })
  .describe("A container that holds memory of the GPU.");

export const gpu = z
  .object({
    uuid: z.string().describe("UUID of the GPU, as NVML gives it."),
    index: count("Number of the GPU in the agent's device IDs, <index>-<unit>."),
    model: z.string().describe("Model of the GPU, as NVML gives it."),
    health: z.enum(["Healthy", "Unhealthy"]).describe("Whether new containers are placed on the GPU."),
    healthCause: z.string().describe("Why the GPU is unhealthy; empty if it is not."),
    physical: memory("Memory of the card"),
    virtual: memory("Memory that all containers of the GPU together may be told they have"),
    units: count("Units of loretoken.dev/vram that the GPU offers."),
    allocatedUnits: count("Units that containers hold."),
    guaranteed: memory("Memory that is kept for containers"),
    ...usage,
    mode: mode("The strictest mode of the GPU's containers"),
    temperatureCelsius: z.int32().optional().describe("Temperature; left out if the card does not say."),
    marginCelsius: z
      .int32()
      .optional()
      .describe("Degrees to the card's own slowdown; left out if the card does not say."),
    powerWatts: count("Power draw; left out if the card does not say.").optional(),
    powerLimitWatts: count("Enforced power limit; left out if the card does not say.").optional(),
    containers: z
      .array(gpuContainer)
      .meta(mapList("namespace", "pod", "container"))
      .describe(
        "Containers that hold memory of the GPU, by namespace, pod and name. One that was just placed is missing until the kubelet says whose it is.",
      ),
  })
  .describe("A GPU of the node.");

export const gpuNodeStatus = z
  .object({
    agentVersion: z.string().describe("Version of the agent that wrote this."),
    observedAt: z.iso
      .datetime()
      .describe("When the figures were read. Figures that barely moved are not written each time."),
    summary: z
      .object({
        gpus: z.string().describe("GPUs that are healthy, of those there are: 7/8."),
        units: z.string().describe("Units of loretoken.dev/vram that containers hold, of those offered: 120/280."),
        physical: z.string().describe("Memory of the cards, for people."),
        virtual: z.string().describe("Memory that containers may be told they have, for people."),
        raw: z.string().describe("GPU memory that holds allocations as they are, for people."),
        packed: z.string().describe("GPU memory that holds packed allocations, for people."),
        host: z.string().describe("Host memory that holds packed allocations, for people."),
        ratio: ratio("Bytes of packed allocations over the bytes they take, in all"),
        mode: mode("The strictest mode of any container"),
        holders: z
          .string()
          .describe("Who has what: <namespace>/<pod>=<virtual memory>, largest first; the rest as a number."),
      })
      .describe("The node in one line, for kubectl get."),
    ...policyFields("node", nodePolicyReasons),
    unreadablePolicies: z
      .array(z.string())
      .max(mostUnreadable)
      .meta({ "x-kubernetes-list-type": "set" })
      .optional()
      .describe(
        `Policies that the agent does not understand, which is of another version, and leaves out; the first ${mostUnreadable} by name.`,
      ),
    gpus: z.array(gpu).meta(mapList("uuid")).describe("The GPUs of the node, by UUID."),
    unowned: count("Allocations of which the kubelet has not said yet whose they are."),
  })
  .describe("What the node's agent saw last.");

export const gpuNode = z
  .object({
    apiVersion: z.literal(apiVersion).default(apiVersion),
    kind: z.literal("GpuNode").default("GpuNode"),
    metadata: z.looseObject({ name: z.string() }),
    status: gpuNodeStatus.optional(),
  })
  .describe(
    "What the GPUs of one node hold and for whom. Has the node's name; written by the node's agent, not by people.",
  );

export type ContainerPolicyReason = (typeof containerPolicyReasons)[number];
export type NodePolicyReason = (typeof nodePolicyReasons)[number];
export type GpuContainer = z.output<typeof gpuContainer>;
export type GpuStatus = z.output<typeof gpu>;
export type GpuNodeStatus = z.output<typeof gpuNodeStatus>;
export type GpuNode = z.output<typeof gpuNode>;

/** For paths, as lib/kube takes it. */
export const gpuNodeResource = { apiVersion, kind: "GpuNode", plural: "gpunodes", namespaced: false } as const;
