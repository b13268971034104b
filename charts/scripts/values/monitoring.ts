/** Values of what Prometheus and Grafana get. */
import { z } from "zod";
import { labels } from "./parts.ts";

const duration = /^[0-9]+(ms|s|m|h)$/;

const monitor = (kind: string) =>
  z
    .strictObject({
      enabled: z.boolean().default(false).describe(`whether there are ${kind}s; Prometheus' operator must be there`),
      interval: z
        .string()
        .regex(duration)
        .meta({ allowed: "a time such as 30s" })
        .default("30s")
        .describe("time between two scrapes"),
      scrapeTimeout: z
        .string()
        .regex(duration)
        .meta({ allowed: "a time such as 30s" })
        .default("10s")
        .describe("how long one may take"),
      labels: labels("labels that Prometheus selects it by"),
    })
    .describe(`${kind}s of agent and operator. One of PodMonitor and ServiceMonitor is enough.`);

export const monitoring = z
  .strictObject({
    podMonitor: monitor("PodMonitor"),
    serviceMonitor: monitor("ServiceMonitor"),
    prometheusRule: z
      .strictObject({
        enabled: z.boolean().default(false).describe("whether there are alerts; Prometheus' operator must be there"),
        labels: labels("labels that Prometheus selects it by"),
        alertLabels: labels("labels of every alert"),
        disabled: z.array(z.string()).default([]).describe("names of alerts that are left out"),
      })
      .describe("Alerts: [files/alerts](../../charts/loretoken/files/alerts)."),
    dashboard: z
      .strictObject({
        enabled: z.boolean().default(false).describe("whether there is a ConfigMap with a dashboard"),
        namespace: z.string().default("").describe("its namespace; empty: the release's"),
        labels: z
          .record(z.string(), z.string())
          .default({ grafana_dashboard: "1" })
          .describe("labels that Grafana's sidecar selects it by"),
        annotations: labels("annotations, such as the one that names Grafana's folder"),
      })
      .describe("A dashboard for Grafana."),
  })
  .describe("Prometheus and Grafana.");
