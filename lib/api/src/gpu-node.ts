/** GpuNode: what the GPUs of one node hold and for whom. Written by the node's agent, read by people and by the operator. */
import { z } from "zod";
import { count, mapList, memory, mode, ratio } from "./fields.ts";
import { apiVersion } from "./names.ts";

const usage = {
  raw: memory("GPU memory that holds allocations as they are"),
  packed: memory("GPU memory that holds packed allocations"),
  host: memory("Host memory that holds packed allocations"),
  ratio: ratio("Bytes of packed allocations over the bytes they take"),
};

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

export type GpuContainer = z.output<typeof gpuContainer>;
export type GpuStatus = z.output<typeof gpu>;
export type GpuNodeStatus = z.output<typeof gpuNodeStatus>;
export type GpuNode = z.output<typeof gpuNode>;

/** For paths, as lib/kube takes it. */
export const gpuNodeResource = { apiVersion, kind: "GpuNode", plural: "gpunodes", namespaced: false } as const;
