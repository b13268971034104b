/**
 * The agent's settings: this schema is the one source of types, defaults, the file's form, the flags, `--help` and
 * docs/reference/agent.md. A key `maxPowerPercent` of the file is the flag `--max-power-percent`.
 */
import { type Setting, settingsOf } from "@loretoken/service";
import { z } from "zod";
import { parseSize } from "./size.ts";

const sizeHint = "a size such as 2GiB, 2GB or 512MiB";
const path = z.string().regex(/^\//, "an absolute path");

function size(allowed: string, share: boolean) {
  return z
    .string()
    .meta({ allowed })
    .transform((text, context) => {
      const parsed = parseSize(text);
      if (parsed !== undefined && (share || "bytes" in parsed)) return parsed;
      context.addIssue({ code: "custom", message: allowed, input: text });
      return z.NEVER;
    });
}

const seconds = (low: number, high: number) => z.number().min(low).max(high);

export const configSchema = z.strictObject({
  resource: z
    .string()
    .regex(/^[a-z0-9.-]+\.[a-z]+\/[A-Za-z0-9_.-]+$/, "a resource name such as loretoken.dev/vram")
    .default("loretoken.dev/vram")
    .describe("the resource that pods ask for; one unit is 1 GiB of enlarged GPU memory"),
  expansion: z
    .number()
    .min(1)
    .max(8)
    .default(1.5)
    .describe("how much larger a GPU's memory is made to seem; 1.5: half as much again"),
  reserve: size(`${sizeHint}, or a share of the card such as 4%`, true)
    .prefault("4%")
    .describe("memory of each card that is not given away: CUDA contexts and what others need"),
  contextSize: size(sizeHint, false)
    .prefault("600MiB")
    .describe("what a CUDA context takes beside the program's own memory; so much of a process is no stranger's"),
  mode: z.enum(["full", "hold", "off"]).default("full").describe("full: pack; hold: pack nothing new; off: plain CUDA"),
  verify: z.enum(["always", "sample", "off"]).default("always").describe("how much of what was packed is checked"),
  integrity: z.enum(["log", "fail", "passthrough"]).default("fail").describe("what a checksum mismatch does"),
  integrityThreshold: z.int().min(1).max(1_000_000).default(1).describe("mismatches in an hour from which it is done"),
  maxPenaltyPercent: z
    .number()
    .min(0.1)
    .max(100)
    .default(10)
    .describe("share of the time that launches may wait for packed memory; above it packing is lessened"),
  hostLimit: size(sizeHint, false)
    .optional()
    .describe("pinned host memory per container for what does not fit packed; not set: the shim decides; 0: none"),
  pointerSafety: z.enum(["learned", "strict"]).default("learned").describe("how stored pointers are followed"),
  maxTemperature: z.int().min(30).max(120).optional().describe("degrees Celsius above which packing is lessened"),
  minTemperatureMargin: z
    .int()
    .min(1)
    .max(60)
    .optional()
    .describe("degrees to the card's own slowdown below which packing is lessened; for cards that state margins only"),
  maxPowerPercent: z
    .number()
    .min(10)
    .max(200)
    .optional()
    .describe("share of the enforced power limit above which packing is lessened"),
  thermalReasons: z
    .array(z.string())
    .default(["SwThermalSlowdown", "HwThermalSlowdown"])
    .describe("NVML's clock event reasons that count as too hot"),
  powerReasons: z
    .array(z.string())
    .default(["HwPowerBrakeSlowdown"])
    .describe("NVML's clock event reasons that count as too much power"),
  escalateSeconds: seconds(1, 3600).default(10).describe("how long a limit is broken before the next stronger step"),
  releaseSeconds: seconds(1, 3600).default(30).describe("how long all is well before a step back; doubled by relapses"),
  mostReleaseSeconds: seconds(1, 86_400).default(1800).describe("what that time grows to at most"),
  ignoredXids: z
    .array(z.int().min(1).max(100_000))
    .default([13, 31, 43, 45, 68, 109])
    .describe("XIDs that programs cause and that say nothing about the GPU's health"),
  recoverSeconds: seconds(1, 86_400)
    .default(60)
    .describe("how long a GPU that was ill must be well; doubled by relapses"),
  gpuAccess: z
    .enum(["nvidia-variables", "cdi", "device-nodes", "none"])
    .default("nvidia-variables")
    .describe("how containers get the GPU: by NVIDIA's runtime, by CDI names, by device nodes, or not by us"),
  cdiKind: z.string().default("nvidia.com/gpu").describe("the CDI kind for gpuAccess cdi"),
  cdiNames: z.enum(["uuid", "index"]).default("uuid").describe("what names a GPU within the CDI kind"),
  driverFolder: path
    .optional()
    .describe("folder with the driver's libraries, handed in read-only at the same place for gpuAccess device-nodes"),
  hostFolder: path
    .default("/var/lib/loretoken")
    .describe("the agent's own folder, at the same path here and on the host"),
  shimFolder: path.default("/opt/loretoken/shim").describe("where the agent's image has the shim"),
  pluginFolder: path.default("/var/lib/kubelet/device-plugins").describe("the kubelet's folder of plugin sockets"),
  podResources: path
    .default("/var/lib/kubelet/pod-resources/kubelet.sock")
    .describe("the kubelet's socket that tells which container holds what"),
  nvmlLibrary: z.string().min(1).default("libnvidia-ml.so.1").describe("NVML, for the dynamic loader"),
  guardSeconds: seconds(0.1, 60).default(2).describe("time between two looks at the GPUs"),
  reconcileSeconds: seconds(0.1, 600).default(10).describe("time between two comparisons with the kubelet's pods"),
  orphanSeconds: seconds(1, 86_400)
    .default(600)
    .describe("how long an allocation is kept that the kubelet never said whose it is"),
  nodeName: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, "the name of a Node")
    .optional()
    .describe("the Node this runs on; not set: the variable NODE_NAME, else the host's name"),
  apiServer: z
    .enum(["auto", "none"])
    .default("auto")
    .describe("auto: Events and GpuNode go to the cluster of KUBECONFIG or of the pod; none: events go to the log"),
  listen: z
    .string()
    .regex(/^(\[[0-9a-fA-F:]*\]|[^:\s]*):\d{1,5}$/, "an address and port such as 0.0.0.0:9410 or [::]:9410")
    .default("0.0.0.0:9410")
    .describe("where /healthz, /readyz and /metrics are served"),
  logLevel: z.enum(["error", "warn", "info", "debug"]).default("info").describe("what is logged"),
});

export type Config = z.output<typeof configSchema>;

/** Every setting, in the schema's order. */
export function settings(): Setting[] {
  return settingsOf(configSchema);
}
