/** Fields that several kinds have, each with the sentence that `kubectl explain` shows. */
import { z } from "zod";

/** For `.meta`: a list whose entries are merged by key in server-side apply, not replaced. */
export const mapList = (...keys: string[]): Record<string, unknown> => ({
  "x-kubernetes-list-type": "map",
  "x-kubernetes-list-map-keys": keys,
});

/** A list in which each value occurs once, as the API server sees to for this list type. */
export function setOf<T extends z.ZodType<string>>(item: T, what: string, { least = 0, most }: SetBounds) {
  return z
    .array(item)
    .min(least)
    .max(most)
    .check(({ value, issues }) => {
      for (const [at, one] of value.entries()) {
        if (value.indexOf(one) === at) continue;
        issues.push({ code: "custom", message: "each value may occur once", input: value, path: [at] });
      }
    })
    .meta({ "x-kubernetes-list-type": "set" })
    .describe(what);
}

interface SetBounds {
  readonly least?: number;
  readonly most: number;
}

/** Memory in a status. */
export const memory = (what: string) =>
  z
    .string()
    .regex(/^(0|[1-9][0-9]*[MG]i)$/)
    .describe(`${what}. A quantity, rounded to MiB.`);

export const ratio = (what: string) =>
  z
    .string()
    .regex(/^([0-9]+\.[0-9]{2})?$/)
    .describe(`${what}. Two decimals; empty if nothing is packed.`);

export const mode = (what: string) =>
  z
    .enum(["full", "hold", "off"])
    .describe(`${what}: full packs, hold packs nothing new, off is plain CUDA from then on.`);

export const count = (what: string) => z.int32().min(0).describe(what);
