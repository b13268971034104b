/**
 * Writes crds/, the pages of their kinds, of annotations and of events in docs/reference/ below the folder given.
 * Usage: node lib/api/scripts/generate.ts <folder to write into, laid out as the repository>
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { stringify } from "yaml";
import { annotationsReference } from "../src/annotations.ts";
import { customResourceDefinition, definitions } from "../src/crds.ts";
import { eventsReference } from "../src/events.ts";
import { group } from "../src/names.ts";
import { kindReference } from "../src/reference.ts";

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
  write(`docs/reference/${definition.plural}.md`, kindReference(definition));
}
write("docs/reference/annotations.md", annotationsReference());
write("docs/reference/events.md", eventsReference());
