/** Parts that several values are made of. Every value has a description and, but for objects of values, a default. */
import { z } from "zod";

/** What Kubernetes defines and checks itself: the API server names what is wrong in it. */
export const openObject = z.record(z.string(), z.unknown());
export const openList = z.array(openObject);
const texts = z.record(z.string(), z.string());

export const labels = (about: string) => texts.default({}).describe(about);

const quantity = z.union([z.string().regex(/^[0-9.]+([eE][0-9]+|m|[kMGTPE]i?)?$/), z.number()]);

const amounts = z.strictObject({
  cpu: quantity.optional(),
  memory: quantity.optional(),
  "ephemeral-storage": quantity.optional(),
});

export function resources(fallback: { requests: object; limits: object }, about: string) {
  return z
    .strictObject({ requests: amounts.optional(), limits: amounts.optional() })
    .meta({ leaf: true })
    .default(fallback)
    .describe(about);
}

export const port = (fallback: number, about: string) =>
  z.int().min(1024).max(65_535).default(fallback).describe(about);

export const imageOf = (name: string) =>
  z
    .strictObject({
      repository: z
        .string()
        .regex(/^[a-z0-9]+([._/-]+[a-z0-9]+)*$/)
        .meta({ allowed: "a repository such as team/agent" })
        .default(`loretoken/${name}`)
        .describe("name in the registry"),
      tag: z
        .string()
        .regex(/^$|^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/)
        .meta({ allowed: "a tag" })
        .default("")
        .describe("empty: the chart's appVersion"),
      digest: z
        .string()
        .regex(/^$|^sha256:[0-9a-f]{64}$/)
        .meta({ allowed: "sha256: and 64 hexadecimal digits" })
        .default("")
        .describe("digest of the image; with it the tag does not count"),
    })
    .describe(`Image of the ${name}.`);

export const serviceAccount = z
  .strictObject({
    create: z.boolean().default(true).describe("false: an account that is there already"),
    name: z.string().default("").describe("empty: the name of the workload"),
    annotations: labels("annotations of the account"),
  })
  .describe("Account that it runs under; its role is bound to it in either case.");

/** Of the pods of one workload. */
export const podFields = {
  podLabels: labels("more labels of its pods"),
  podAnnotations: labels("annotations of its pods"),
  nodeSelector: labels("labels that nodes must have"),
  affinity: openObject.default({}).describe("affinity of its pods, as Kubernetes has it"),
  extraEnv: openList.default([]).describe("more environment variables, as Kubernetes has them"),
  extraVolumes: openList.default([]).describe("more volumes of its pods"),
  extraVolumeMounts: openList.default([]).describe("where they are mounted"),
};

export const priorityClass = (fallback: string) =>
  z.string().default(fallback).describe("priority class of its pods; empty: the cluster's default");
