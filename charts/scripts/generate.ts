/**
 * Writes the generated parts of the chart and docs/reference/values.md below the folder given.
 * Usage: node charts/scripts/generate.ts <folder to write into, laid out as the repository>
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { crdTemplate } from "./crd-templates.ts";
import { dashboard } from "./dashboard/index.ts";
import { valuesReference } from "./reference.ts";
import { valuesFile } from "./values-file.ts";
import { jsonSchema } from "./walk.ts";

const folder = process.argv[2];
if (folder === undefined) throw new Error("usage: generate.ts <folder>");

function write(path: string, text: string): void {
  const target = join(folder ?? "", path);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, text);
}

const json = (content: unknown): string => `${JSON.stringify(content, undefined, 2)}\n`;
const chart = "charts/loretoken";
const schema = jsonSchema();
write(`${chart}/values.yaml`, valuesFile(schema));
write(`${chart}/values.schema.json`, json(schema));
write("docs/reference/values.md", valuesReference(schema));
write(`${chart}/files/dashboards/loretoken.json`, json(dashboard()));
const crds = join(import.meta.dirname, "../../crds");
for (const file of readdirSync(crds)) {
  write(`${chart}/templates/crds/${file}`, crdTemplate(readFileSync(join(crds, file), "utf8")));
}
