/**
 * What a CompressionPolicy asks for. Two kinds of fields: those for nodes (expansion, physicalReserve, guardrails.thermal,
 * guardrails.power) have no default, so that a policy without them leaves nodes alone; those for pods have defaults.
 */
import { z } from "zod";
import { setOf } from "../fields.ts";
import { labelSelector } from "../label-selector.ts";
import { parseQuantity } from "../quantity.ts";
import { ruled } from "../rules.ts";
import { guardrails } from "./guardrails.ts";

/** Those that the kernels decode and that change no bit, by their names in the control block; `raw` is always allowed. */
export const losslessCodecs = ["constant", "zero_run", "exponent_bf16", "exponent_fp16", "exponent_fp32"] as const;

const bytes = String.raw`[0-9]{1,15}(\.[0-9]{1,3})?(Ki|Mi|Gi|Ti|k|M|G|T)?`;
const leastHost = "64Mi";
const mostMemory = "64Ti";
const between = (text: string, low: string, high: string): boolean => {
  const [value, least, most] = [text, low, high].map(parseQuantity) as [bigint, bigint, bigint];
  return value >= least && value <= most;
};

const reserve = ruled(z.string().regex(new RegExp(String.raw`^(${bytes}|[0-9]{1,2}(\.[0-9])?%)$`)), {
  cel: `self.endsWith('%') || quantity(self).compareTo(quantity('${mostMemory}')) <= 0`,
  holds: (text) => text.endsWith("%") || between(text, "0", mostMemory),
  message: `must be at most ${mostMemory}`,
});

const hostLimit = ruled(z.string().regex(new RegExp(`^${bytes}$`)), {
  cel: `quantity(self).compareTo(quantity('${leastHost}')) >= 0 && quantity(self).compareTo(quantity('${mostMemory}')) <= 0`,
  holds: (text) => between(text, leastHost, mostMemory),
  message: `must be from ${leastHost} to ${mostMemory}`,
});

const host = ruled(
  z.object({
    enabled: z
      .boolean()
      .default(true)
      .describe("Whether packed memory may move to host memory when the GPU has no room for it. Default: true."),
    limitPerContainer: hostLimit
      .optional()
      .describe(
        "Pinned host memory that a container may take for packed memory, all its processes together, as a quantity such as 16Gi, from 64Mi to 64Ti. It counts toward the node's memory. Lowering it takes nothing back at once. Default: the node agent's setting, half of the machine's memory unless it was changed.",
      ),
  }),
  {
    cel: "self.enabled || !has(self.limitPerContainer)",
    holds: ({ enabled, limitPerContainer }) => enabled || limitPerContainer === undefined,
    message: "limitPerContainer must not be given when enabled is false",
  },
).describe("The last place for packed memory: host memory. Applies to pods.");

export const compressionPolicySpec = z
  .object({
    podSelector: labelSelector
      .optional()
      .describe(
        "Selects pods by their labels. Empty: all pods. Left out: only pods that name this policy in their annotation loretoken.dev/policy.",
      ),
    namespaceSelector: labelSelector
      .prefault({})
      .describe(
        "Selects pods by the labels of their namespace; kubernetes.io/metadata.name is its name. It binds pods that name this policy too. Default: empty, all namespaces.",
      ),
    nodeSelector: labelSelector
      .prefault({})
      .describe(
        "Selects nodes by their labels, and pods by the node they run on. It binds pods that name this policy too. Default: empty, all nodes.",
      ),
    priority: z
      .int32()
      .min(-1_000_000)
      .max(1_000_000)
      .default(0)
      .describe(
        "Decides which policy applies where several select the same pod or node: the highest priority, then the oldest policy, then the first name. The others are not merged in. From -1000000 to 1000000. Default: 0.",
      ),
    suspend: z
      .boolean()
      .default(false)
      .describe(
        "A suspended policy applies to nothing; its status says what it would select. Pods and nodes that it applied to go by the next policy, or by their node's settings. Default: false.",
      ),
    expansion: z
      .number()
      .min(1)
      .max(8)
      .optional()
      .describe(
        "How many times as large as it is a GPU's memory is made to seem, from 1 to 8, to three decimals. Applies to nodes; a lower value takes nothing from running containers. Default: the node agent's setting, 1.5 unless it was changed.",
      ),
    physicalReserve: reserve
      .optional()
      .describe(
        "Memory of each GPU that is not given to containers: a quantity such as 2Gi, at most 64Ti, or a share of the GPU's memory such as 4%, below 100%. Applies to nodes. Default: the node agent's setting, 4% unless it was changed.",
      ),
    mode: z
      .enum(["full", "hold", "off"])
      .default("full")
      .describe(
        "What is done at most. full: packs and unpacks. hold: packs nothing ahead of need. off: unpacks what there is room for. In hold and off, memory that was promised is still made room for by packing. Applies to pods. Default: full.",
      ),
    tiers: z
      .object({ host: host.prefault({}) })
      .prefault({})
      .describe("Where packed memory may lie besides the GPU's own memory. Applies to pods."),
    codecs: z
      .object({
        allow: setOf(
          z.enum(losslessCodecs),
          "Codecs that may be used, by name; none of them changes a bit. Blocks that no codec shrinks are kept as they are. Left out: all codecs.",
          { least: 1, most: losslessCodecs.length },
        ).optional(),
      })
      .prefault({})
      .describe("How memory is packed. Applies to pods."),
    verify: z
      .enum(["always", "sample", "off"])
      .default("always")
      .describe(
        "How often packed memory is decoded and compared with the original before the original is let go. always: each time. sample: about one time in 16. off: never. Checksums are checked on unpacking in any case. Applies to pods. Default: always.",
      ),
    pointerSafety: z
      .enum(["learned", "strict"])
      .default("learned")
      .describe(
        "How pointers are followed that programs store in GPU memory. learned: it is learned which kernels store pointers, and these are watched. strict: memory is searched for pointers around every launch, which is slow. Applies to pods. Default: learned.",
      ),
    guardrails: guardrails.prefault({}),
  })
  .describe(
    "What is asked for. Fields for pods hold for containers with loretoken.dev/vram; fields for nodes hold for all GPUs of a node. One policy applies to a pod, and one of those that say something for nodes applies to a node.",
  );

export type CompressionPolicySpec = z.output<typeof compressionPolicySpec>;
