/** The page is held to what Prometheus' own client writes. */
import assert from "node:assert/strict";
import test from "node:test";
import { Counter, Gauge, Registry } from "prom-client";
import { contentType, Exposition, labelsOf } from "./exposition.ts";
import type { MetricFacts } from "./metric-catalog.ts";

const catalog = {
  plain: { type: "gauge", labels: [], help: "a gauge" },
  labelled: { type: "gauge", labels: ["pod", "gpu"], help: 'help with "quotes", a \\ and\nanother line' },
  counted_total: { type: "counter", labels: ["reason"], help: "a counter" },
  without_samples: { type: "gauge", labels: ["pod"], help: "nothing now" },
} as const satisfies Record<string, MetricFacts>;

type Name = keyof typeof catalog;

const samples: readonly [Name, Record<string, string>, number][] = [
  ["plain", {}, 0],
  ["labelled", { pod: "train-0", gpu: "0" }, 412.5],
  ["labelled", { pod: 'say "x"', gpu: "a\\b\nc" }, -0.1],
  ["labelled", { pod: "größer", gpu: "" }, 1e21],
  ["labelled", { pod: "infinite", gpu: "1" }, Number.POSITIVE_INFINITY],
  ["labelled", { pod: "infinite", gpu: "2" }, Number.NEGATIVE_INFINITY],
  ["counted_total", { reason: "small" }, 2 ** 53],
  ["counted_total", { reason: "other" }, 0],
];

const text = (page: Exposition<Name>): string => [...page.take()].join("");

test("a page is what prom-client writes", async () => {
  const registry = new Registry();
  const page = new Exposition<Name>(catalog);
  const theirs = new Map<string, Gauge | Counter>();
  for (const [name, { type, labels, help }] of Object.entries(catalog)) {
    const config = { name, help, labelNames: [...labels], registers: [registry] };
    theirs.set(name, type === "gauge" ? new Gauge(config) : new Counter(config));
  }
  for (const [name, labels, value] of samples) {
    page.add(name, labelsOf(labels), value);
    const metric = theirs.get(name);
    if (metric instanceof Gauge) metric.set(labels, value);
    else metric?.inc(labels, value);
  }
  const written = (await registry.metrics()).replaceAll("\n\n", "\n"); // they put an empty line between metrics
  assert.equal(text(page), written);
  assert.equal(contentType, registry.contentType);
});

test("what was taken or cleared does not come again, and a counter is not below 0", () => {
  const page = new Exposition<Name>(catalog);
  page.add("plain", "", 1);
  assert.match(text(page), /^plain 1$/m);
  assert.doesNotMatch(text(page), /^plain/m);
  page.add("plain", "", 2);
  page.clear();
  page.add("counted_total", 'reason="x"', -1);
  const last = text(page);
  assert.doesNotMatch(last, /^plain/m);
  assert.match(last, /^counted_total\{reason="x"\} 0$/m);
});
