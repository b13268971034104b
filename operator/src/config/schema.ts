/** The operator's settings: this schema is the one source of types, defaults, flags, `--help` and docs/reference/operator.md. */
import { isIP } from "node:net";
import { z } from "zod";

const name = z.string().regex(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/, "the name of a Kubernetes object");
const address = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]*\]|[^:\s]*):\d{1,5}$/, "an address and port such as 0.0.0.0:9443 or [::]:9443");
const seconds = (low: number, high: number) => z.number().min(low).max(high);
const day = 86_400;

const dnsName = /^(\*\.)?[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

export const configSchema = z.strictObject({
  listen: address.default("0.0.0.0:9443").describe("where pods are reviewed, over TLS 1.3"),
  pages: address.default("0.0.0.0:9411").describe("where /healthz, /readyz and /metrics are served, without TLS"),
  resource: z
    .string()
    .regex(/^[a-z0-9.-]+\.[a-z]+\/[A-Za-z0-9_.-]+$/, "a resource name such as loretoken.dev/vram")
    .default("loretoken.dev/vram")
    .describe("the resource that pods get; the node agents' setting of this name must be the same"),
  replaceGpu: z
    .enum(["annotation", "always"])
    .default("annotation")
    .describe(
      "when nvidia.com/gpu: 1 of a container that gets memory is taken out: where the pod's annotation loretoken.dev/replace-gpu says true, or always unless it says false; elsewhere the pod is refused",
    ),
  certificates: z
    .enum(["own", "mounted"])
    .default("own")
    .describe("own: by an authority that the operator keeps in a Secret; mounted: by someone else, as cert-manager"),
  certificateFolder: z
    .string()
    .regex(/^\//, "an absolute path")
    .optional()
    .describe("folder with tls.crt and tls.key, for certificates mounted"),
  certificateNames: z
    .array(
      z
        .string()
        .refine((text) => isIP(text) !== 0 || dnsName.test(text), "a DNS name or an IP address")
        .meta({ allowed: "a DNS name or an IP address" }),
    )
    .default([])
    .describe("names that the webhook is reached by besides those of its Service, for certificates own"),
  namespace: name
    .optional()
    .describe("the operator's namespace; not set: the variable POD_NAMESPACE, else the one called loretoken"),
  service: name.default("loretoken-webhook").describe("the webhook's Service, in the operator's namespace"),
  secret: name.default("loretoken-webhook-ca").describe("the Secret of the authority, in the operator's namespace"),
  webhookConfiguration: name
    .default("loretoken")
    .describe("the MutatingWebhookConfiguration whose caBundle is kept, for certificates own"),
  authorityLifeSeconds: seconds(10, 20 * 365 * day)
    .default(365 * day)
    .describe("how long an authority is valid; the next one joins at two thirds of it"),
  leafLifeSeconds: seconds(3, 365 * day)
    .default(7 * day)
    .describe("how long a certificate of the server is valid; the next one is made at two thirds of it"),
  settleSeconds: seconds(0.1, day)
    .default(60)
    .describe("how long a new authority is in the caBundle before it signs, so that every API server has heard of it"),
  checkSeconds: seconds(0.1, 3600)
    .default(5)
    .describe("time between two looks at Secret, caBundle, or mounted files; what someone changed is repaired then"),
  drainSeconds: seconds(0, 300)
    .default(5)
    .describe("how long requests are still taken after SIGTERM, until the Service sends no more"),
  logLevel: z.enum(["error", "warn", "info", "debug"]).default("info").describe("what is logged"),
});

export type Config = z.output<typeof configSchema>;
