/** What the operator found of a CompressionPolicy. */
import { z } from "zod";
import { count, memory, ratio, setOf } from "../fields.ts";
import { conditions } from "./conditions.ts";

/** Names in a list that goes on; the count beside it is of all. */
export const mostNamedNodes = 16;

export const compressionPolicyStatus = z
  .object({
    observedGeneration: z.int().min(0).describe("Generation of the policy that this status is about."),
    conditions,
    selects: z.string().describe("What the policy selects, in one line, for kubectl get."),
    selectedPods: count("Pods with loretoken.dev/vram that the policy selects, or that name it."),
    appliedPods: count("Pods of these that go by this policy; the others go by one that comes first."),
    selectedNodes: count("Nodes with GPUs that the nodeSelector selects."),
    appliedNodes: count("Nodes of these that go by this policy; 0 if it says nothing for nodes."),
    ratio: ratio("Bytes of packed allocations over the bytes they take, over the containers that go by this policy"),
    saved: memory(
      "Memory that packing saves in these containers: bytes of packed allocations less the bytes they take",
    ),
    nodesBehind: z
      .object({
        count: count("How many there are."),
        names: setOf(z.string(), `Names of the first ${mostNamedNodes}, in order of the alphabet.`, {
          most: mostNamedNodes,
        }),
      })
      .describe("Nodes that have something to do for this policy and do not go by its present generation yet."),
  })
  .partial()
  .describe("How the policy stands. Written by the operator.");

export type CompressionPolicyStatus = z.output<typeof compressionPolicyStatus>;
