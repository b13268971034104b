/** What a policy watches, and from where it acts. */
import { z } from "zod";
import { ruled } from "../rules.ts";

const integrity = z
  .object({
    action: z
      .enum(["log", "fail", "passthrough"])
      .default("fail")
      .describe(
        "What is done when packed memory does not decode to the bytes it was made from. log: it is counted and told. fail: the CUDA call that needed the bytes returns an error. passthrough: nothing is packed from then on. Default: fail.",
      ),
    threshold: z
      .int32()
      .min(1)
      .max(1_000_000)
      .default(1)
      .describe("Mismatches within the window from which the action is done. Default: 1, the first."),
    windowSeconds: z
      .int32()
      .min(1)
      .max(1_000_000)
      .default(3600)
      .describe("Seconds within which mismatches are counted together. Default: 3600, an hour."),
  })
  .describe("Acts on packed memory that does not decode to the bytes it was made from. Applies to pods.");

const penalty = z
  .object({
    maxPercent: z
      .int32()
      .min(1)
      .max(100)
      .default(10)
      .describe(
        "Percent of the time that a program's launches may wait for memory to be unpacked. Above it, the allocations that cost most stay as they are, then nothing new is packed, then nothing stays packed. 100 never acts. Default: 10.",
      ),
    windowSeconds: z
      .int32()
      .min(1)
      .max(3600)
      .default(10)
      .describe("Seconds over which that share of the time is taken. Default: 10."),
  })
  .describe("Acts on programs that wait too long for packed memory. Applies to pods.");

const thermal = ruled(
  z.object({
    maxCelsius: z
      .int32()
      .min(30)
      .max(120)
      .optional()
      .describe("Temperature of the GPU, in degrees Celsius, above which packing is lessened. No default."),
    marginCelsius: z
      .int32()
      .min(1)
      .max(60)
      .optional()
      .describe(
        "Degrees Celsius to the temperature at which the GPU slows itself down, below which packing is lessened. Some GPUs state this margin alone. No default.",
      ),
  }),
  {
    cel: "has(self.maxCelsius) != has(self.marginCelsius)",
    holds: ({ maxCelsius, marginCelsius }) => (maxCelsius === undefined) !== (marginCelsius === undefined),
    message: "exactly one of maxCelsius and marginCelsius must be given",
  },
).describe(
  "Acts on GPUs that are too hot: packing goes on at half its rate, then nothing new is packed, then nothing stays packed. Applies to nodes. Left out: the GPU's own slowdown alone counts.",
);

const power = ruled(
  z.object({
    maxWatts: z
      .int32()
      .min(1)
      .max(100_000)
      .optional()
      .describe("Power draw of the GPU, in watts, above which packing is lessened. No default."),
    maxPercent: z
      .int32()
      .min(10)
      .max(200)
      .optional()
      .describe(
        "Power draw of the GPU, in percent of the power limit that its driver enforces, above which packing is lessened. No default.",
      ),
  }),
  {
    cel: "has(self.maxWatts) != has(self.maxPercent)",
    holds: ({ maxWatts, maxPercent }) => (maxWatts === undefined) !== (maxPercent === undefined),
    message: "exactly one of maxWatts and maxPercent must be given",
  },
).describe(
  "Acts on GPUs that draw too much power, by the same steps as thermal. Applies to nodes. Left out: the GPU's own power brake alone counts.",
);

export const guardrails = z
  .object({
    integrity: integrity.prefault({}),
    penalty: penalty.prefault({}),
    thermal: thermal.optional(),
    power: power.optional(),
  })
  .describe(
    "Figures that are watched, with the limits from which LoreToken does less. Each step is a Kubernetes Event.",
  );
