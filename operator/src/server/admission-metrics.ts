/** What the webhook counts. */
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { AdmissionReview } from "../admission/review.ts";

/** changed, unchanged: allowed; invalid: no review that could be read; error: a fault of ours. */
export const results = ["changed", "unchanged", "refused", "invalid", "error"] as const;
export type Result = (typeof results)[number];

export class AdmissionMetrics {
  readonly #requests: Counter;
  readonly #seconds: Histogram;
  readonly #running: Gauge;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#requests = new Counter({
      name: "loretoken_admission_requests_total",
      help: `pods reviewed; result: ${results.join(", ")}`,
      labelNames: ["result"],
      registers,
    });
    for (const result of results) this.#requests.inc({ result }, 0);
    this.#seconds = new Histogram({
      name: "loretoken_admission_seconds",
      help: "time from a request's headers to its answer",
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5],
      registers,
    });
    this.#running = new Gauge({ name: "loretoken_admission_running", help: "reviews under way", registers });
  }

  /** @returns to be called once, with what came out and seconds */
  begin(): (result: Result, seconds: number) => void {
    this.#running.inc();
    return (result, seconds) => {
      this.#running.dec();
      this.#requests.inc({ result });
      this.#seconds.observe(seconds);
    };
  }
}

export function resultOf({ response }: AdmissionReview): Result {
  if (response.allowed) return response.patch === undefined ? "unchanged" : "changed";
  const code = response.status?.code ?? 0;
  if (code >= 500) return "error";
  return code === 400 ? "invalid" : "refused";
}
