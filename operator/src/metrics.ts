/** All metrics of the operator's own; docs/reference/operator.md is generated from them. */
import { Gauge, type Registry } from "prom-client";
import { CertificateMetrics } from "./certificates/certificate-metrics.ts";
import { AdmissionMetrics } from "./server/admission-metrics.ts";

export interface Metrics {
  readonly admission: AdmissionMetrics;
  readonly certificates: CertificateMetrics;
}

export function createMetrics(registry: Registry, version: string): Metrics {
  const info = { name: "loretoken_operator_info", help: "always 1", labelNames: ["version"], registers: [registry] };
  new Gauge(info).set({ version }, 1);
  return { admission: new AdmissionMetrics(registry), certificates: new CertificateMetrics(registry) };
}
