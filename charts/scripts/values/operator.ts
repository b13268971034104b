/** Values of the operator. */
import { z } from "zod";
import { imageOf, openList, openObject, podFields, port, priorityClass, resources, serviceAccount } from "./parts.ts";

const day = 86_400;
const seconds = (low: number, high: number, about: string) => z.number().min(low).max(high).optional().describe(about);

const settings = z
  .strictObject({
    replaceGpu: z
      .enum(["annotation", "always"])
      .optional()
      .describe(
        "when nvidia.com/gpu: 1 of a container that gets memory is taken out: where the pod allows it, or always",
      ),
    certificateNames: z.array(z.string()).optional().describe("more names that the webhook is reached by"),
    authorityLifeSeconds: seconds(10, 20 * 365 * day, "how long an authority of certificates is valid"),
    leafLifeSeconds: seconds(3, 365 * day, "how long a certificate of the server is valid"),
    settleSeconds: seconds(0.1, day, "how long a new authority is in the caBundle before it signs"),
    checkSeconds: seconds(0.1, 3600, "time between two looks at certificates"),
    drainSeconds: seconds(0, 300, "how long requests are still taken after SIGTERM"),
    logLevel: z.enum(["error", "warn", "info", "debug"]).optional().describe("what is logged"),
  })
  .meta({ settings: "operator.md" })
  .describe("Settings of the operator that differ from its defaults.");

const webhook = z
  .strictObject({
    failurePolicy: z
      .enum(["Fail", "Ignore"])
      .default("Fail")
      .describe(
        "while the operator does not answer, pods with the annotation loretoken.dev/vram are refused (Fail) or run without LoreToken (Ignore); all other pods are made in either case",
      ),
    timeoutSeconds: z.int().min(1).max(30).default(5).describe("how long the API server waits for the operator"),
    excludedNamespaces: z
      .array(z.string())
      .default(["kube-system"])
      .describe("namespaces whose pods are never changed; the release's own is one of them"),
  })
  .describe("The webhook that admits annotated pods.");

const certificates = z
  .strictObject({
    source: z
      .enum(["own", "certManager"])
      .default("own")
      .describe("own: the operator makes and rotates them; certManager: cert-manager, which must be there"),
    issuerRef: openObject
      .default({})
      .describe("for certManager: the issuer; empty: an authority of the release's own, made by cert-manager"),
    duration: z
      .string()
      .regex(/^[0-9]+h$/)
      .meta({ allowed: "hours such as 2160h" })
      .default("2160h")
      .describe("for certManager: life of a certificate"),
  })
  .describe("Certificates of the webhook.");

export const operator = z
  .strictObject({
    enabled: z.boolean().default(true).describe("whether annotated pods are admitted"),
    image: imageOf("operator"),
    replicas: z.int().min(1).max(10).default(2).describe("pods of the operator; each serves"),
    settings,
    webhook,
    certificates,
    ports: z
      .strictObject({
        webhook: port(9443, "where pods are reviewed"),
        pages: port(9411, "/healthz, /readyz and /metrics"),
      })
      .describe("Ports in the pod's network."),
    podDisruptionBudget: z
      .boolean()
      .default(true)
      .describe("whether a drain leaves all replicas but one; without effect for one replica"),
    topologySpreadConstraints: openList
      .default([])
      .describe("how replicas are spread; empty: over nodes, and over zones where there are some"),
    tolerations: openList.default([]).describe("taints that it tolerates"),
    priorityClassName: priorityClass("system-cluster-critical"),
    terminationGracePeriodSeconds: z
      .int()
      .min(1)
      .max(600)
      .default(30)
      .describe("time that it gets to end, longer than settings.drainSeconds"),
    resources: resources(
      { requests: { cpu: "50m", memory: "128Mi" }, limits: { memory: "256Mi" } },
      "requests and limits of its container",
    ),
    serviceAccount,
    ...podFields,
  })
  .describe("The operator, a Deployment.");
