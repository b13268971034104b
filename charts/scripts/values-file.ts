/** values.yaml: every value with its default, under its description. */
import { stringify } from "yaml";
import { isLeaf, type Schema } from "./walk.ts";

const width = 110;

export function valuesFile(schema: Schema): string {
  const head = [
    "# Every value with its default. Generated from charts/scripts/values; make generate writes it anew.",
    "# docs/reference/values.md has them as a table.",
  ];
  return `${[...head, ...body(schema, 0)].join("\n")}\n`;
}

function body(schema: Schema, depth: number): string[] {
  const indent = "  ".repeat(depth);
  return Object.entries(schema.properties ?? {}).flatMap(([key, child]) => {
    const note = comment(child, indent);
    const gap = depth === 0 ? [""] : [];
    if (child.settings !== undefined) return [...gap, ...note, `${indent}${key}: {}`];
    if (!isLeaf(child)) return [...gap, ...note, `${indent}${key}:`, ...body(child, depth + 1)];
    const lines = stringify({ [key]: child.default }, { lineWidth: 0 })
      .trimEnd()
      .split("\n");
    return [...gap, ...note, ...lines.map((line) => `${indent}${line}`)];
  });
}

function comment({ description = "", settings }: Schema, indent: string): string[] {
  const more = settings === undefined ? "" : ` Their names and defaults: docs/reference/values.md.`;
  const lines: string[] = [];
  for (const word of `${description}${more}`.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length + 1 > width - indent.length) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines.map((line) => `${indent}# ${line}`);
}
