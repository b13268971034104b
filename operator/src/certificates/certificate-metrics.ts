/** What is counted about certificates. */
import { Counter, Gauge, type Registry } from "prom-client";

/** share: Secret or webhook configuration; issue: signing; folder: a mounted certificate. */
export const failures = ["share", "issue", "folder"] as const;

export class CertificateMetrics {
  readonly #notAfter: Gauge;
  readonly #served: Counter;
  readonly #authorities: Gauge;
  readonly #bundles: Counter;
  readonly #failures: Counter;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#notAfter = new Gauge({
      name: "loretoken_certificate_not_after_seconds",
      help: "when the certificate that is served ends, since the epoch; 0 if none is served",
      registers,
    });
    this.#served = new Counter({
      name: "loretoken_certificates_served_total",
      help: "certificates that were taken into use",
      registers,
    });
    this.#authorities = new Gauge({
      name: "loretoken_certificate_authorities",
      help: "authorities of our own that are trusted",
      registers,
    });
    this.#bundles = new Counter({
      name: "loretoken_ca_bundle_writes_total",
      help: "times that the caBundle of the webhook configuration was written: at rotations, and where someone changed it",
      registers,
    });
    this.#failures = new Counter({
      name: "loretoken_certificate_failures_total",
      help: `looks at certificates that failed; what: ${failures.join(", ")}`,
      labelNames: ["what"],
      registers,
    });
    for (const what of failures) this.#failures.inc({ what }, 0);
  }

  served(notAfter: number): void {
    this.#notAfter.set(notAfter / 1000);
    this.#served.inc();
  }

  authorities(count: number): void {
    this.#authorities.set(count);
  }

  bundleWritten(): void {
    this.#bundles.inc();
  }

  failed(what: (typeof failures)[number]): void {
    this.#failures.inc({ what });
  }
}
