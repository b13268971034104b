/**
 * Writes docs/reference/metrics.md below the folder given, from the catalog of metrics.
 * Usage: node device-plugin/scripts/generate-metrics.ts <folder to write into, laid out as the repository>
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { metricsTable } from "../src/reporting/metric-catalog.ts";

const folder = process.argv[2];
if (folder === undefined) throw new Error("usage: generate-metrics.ts <folder>");
const path = join(folder, "docs/reference/metrics.md");
const text = readFileSync(join(import.meta.dirname, "metrics.template.md"), "utf8");
mkdirSync(dirname(path), { recursive: true });
writeFileSync(path, text.replace("{{metrics}}", metricsTable()));
