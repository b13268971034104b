/**
 * Writes crds/ and docs/reference/events.md below the folder given.
 * Usage: node lib/api/scripts/generate.ts <folder to write into, laid out as the repository>
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { stringify } from "yaml";
import { customResourceDefinition, definitions } from "../src/crds.ts";
import { eventsReference } from "../src/events.ts";
import { group } from "../src/names.ts";

const folder = process.argv[2];
if (folder === undefined) throw new Error("usage: generate.ts <folder>");

function write(path: string, text: string): void {
  const target = join(folder ?? "", path);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, text);
}

for (const definition of definitions) {
  const note = "# Generated from lib/api/src; make generate writes it anew.\n";
  write(
    `crds/${group}_${definition.plural}.yaml`,
    note + stringify(customResourceDefinition(definition), { lineWidth: 120 }),
  );
}
write("docs/reference/events.md", eventsReference());
