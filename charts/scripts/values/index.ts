/**
 * The chart's values: this schema is the one source of values.yaml, values.schema.json and docs/reference/values.md.
 * `meta({ leaf })`: an object that is one value; `meta({ settings })`: a program's settings, whose defaults are the program's.
 */
import { z } from "zod";
import { agent } from "./agent.ts";
import { monitoring } from "./monitoring.ts";
import { operator } from "./operator.ts";
import { labels, openList } from "./parts.ts";

const networkPolicy = z
  .strictObject({
    enabled: z.boolean().default(true).describe("whether pods are reached at their own ports only"),
    metricsFrom: openList
      .default([])
      .describe("who may read metrics, as NetworkPolicy's `from` has it; []: everyone in the cluster"),
    limitEgress: z.boolean().default(false).describe("whether pods may call the ports of egressPorts only"),
    egressPorts: z
      .array(z.int().min(1).max(65_535))
      .default([443, 6443])
      .describe("ports of the API server, as its Service and as its endpoints have them"),
  })
  .describe("NetworkPolicies of agent and operator.");

const nameOf = z
  .string()
  .regex(/^$|^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$/)
  .meta({ allowed: "up to 40 small letters, digits and hyphens" });

export const values = z.strictObject({
  nameOverride: nameOf.default("").describe("the chart's name in names and labels; empty: loretoken"),
  fullnameOverride: nameOf.default("").describe("beginning of all names; empty: made from the release's name"),
  commonLabels: labels("labels of every object"),
  image: z
    .strictObject({
      registry: z
        .string()
        .regex(/^$|^[^\s]*[^\s/]$/)
        .meta({ allowed: "a registry such as registry.example:5000/gpu" })
        .default("")
        .describe("registry that images come from, with port and path if it has some; empty: the runtime's default"),
      pullPolicy: z
        .enum(["Always", "IfNotPresent", "Never"])
        .default("IfNotPresent")
        .describe("when images are pulled"),
      pullSecrets: z.array(z.string()).default([]).describe("names of Secrets with the registry's credentials"),
    })
    .describe("Where images come from."),
  resourceName: z
    .string()
    .regex(/^[a-z0-9.-]+\.[a-z]+\/[A-Za-z0-9_.-]+$/)
    .meta({ allowed: "a resource name" })
    .default("loretoken.dev/vram")
    .describe("the resource that pods ask for; one unit is 1 GiB"),
  crds: z
    .strictObject({
      enabled: z.boolean().default(true).describe("whether the release has the CustomResourceDefinitions"),
      keep: z
        .boolean()
        .default(true)
        .describe("whether they, and with them all policies and GpuNodes, stay when the release is uninstalled"),
    })
    .describe("CustomResourceDefinitions. As templates they follow upgrades and rollbacks."),
  agent,
  operator,
  networkPolicy,
  monitoring,
  global: z
    .record(z.string(), z.unknown())
    .default({})
    .describe("Helm's own, for a chart that has this one as a dependency; nothing here reads it"),
});
