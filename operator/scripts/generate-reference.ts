/**
 * Writes docs/reference/operator.md below the folder given, from the settings' schema and the metrics.
 * Usage: node operator/scripts/generate-reference.ts <folder to write into, laid out as the repository>
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { settingsTable } from "@loretoken/service";
import { Registry } from "prom-client";
import { configSchema } from "../src/config/schema.ts";
import { createMetrics } from "../src/metrics.ts";

const folder = process.argv[2];
if (folder === undefined) throw new Error("usage: generate-reference.ts <folder>");

const registry = new Registry();
createMetrics(registry, "");
const metrics = await registry.getMetricsAsJSON();
const rows = metrics.map(({ name, type, help }) => `| \`${name}\` | ${type} | ${help} |`);
const table = ["| name | type | meaning |", "|---|---|---|", ...rows].join("\n");

const text = readFileSync(join(import.meta.dirname, "operator.template.md"), "utf8");
const path = join(folder, "docs/reference/operator.md");
mkdirSync(dirname(path), { recursive: true });
writeFileSync(path, text.replace("{{settings}}", settingsTable(configSchema)).replace("{{metrics}}", table));
