/**
 * Prometheus' text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/) for a fixed catalog of metrics whose
 * values are all set anew for each scrape. A sample costs two array entries until its metric is written: a registry that looks
 * samples up by their labels makes ten times the garbage, and of 4000 samples that is what a scrape costs.
 */
import type { MetricFacts } from "./metric-catalog.ts";

export const contentType = "text/plain; version=0.0.4; charset=utf-8";

/** Labels as they are written, without braces: `name="value",…`. */
export type WrittenLabels = string;

interface Metric {
  readonly facts: MetricFacts;
  readonly labels: WrittenLabels[];
  readonly values: number[];
}

export class Exposition<Name extends string> {
  readonly #metrics: Map<Name, Metric>;

  constructor(catalog: Readonly<Record<Name, MetricFacts>>) {
    const entries = Object.entries(catalog) as [Name, MetricFacts][];
    this.#metrics = new Map(entries.map(([name, facts]) => [name, { facts, labels: [], values: [] }]));
  }

  /** One sample more. The caller sees to it that a metric has no two with the same labels. A counter is never below 0. */
  add(name: Name, labels: WrittenLabels, value: number): void {
    const metric = this.#metrics.get(name);
    if (metric === undefined) return;
    metric.labels.push(labels);
    metric.values.push(metric.facts.type === "counter" ? Math.max(0, value) : value);
  }

  /** Forgets what was added. */
  clear(): void {
    for (const { labels, values } of this.#metrics.values()) {
      labels.length = 0;
      values.length = 0;
    }
  }

  /** What was added, a text for each metric of the catalog, which it forgets then. */
  *take(): Generator<string> {
    for (const [name, metric] of this.#metrics) yield written(name, metric);
  }
}

/** @param labels in the order of the metric's */
export function labelsOf(labels: Readonly<Record<string, string>>): WrittenLabels {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${escapeLabel(value)}"`)
    .join();
}

function written(name: string, { facts, labels, values }: Metric): string {
  const lines = [`# HELP ${name} ${escapeHelp(facts.help)}\n# TYPE ${name} ${facts.type}\n`];
  for (const [index, each] of labels.entries()) {
    const value = writtenValue(values[index] ?? Number.NaN);
    lines.push(each === "" ? `${name} ${value}\n` : `${name}{${each}} ${value}\n`);
  }
  labels.length = 0;
  values.length = 0;
  return lines.join("");
}

function writtenValue(value: number): string {
  if (Number.isFinite(value)) return `${value}`;
  return Number.isNaN(value) ? "NaN" : value < 0 ? "-Inf" : "+Inf";
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}
