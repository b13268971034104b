/**
 * Writes the list of settings that `loretoken run --help` shows, from the one place where they are defined: the shim.
 * Usage: node cli/scripts/generate-settings.ts <folder to write into, laid out as the repository>
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const root = join(import.meta.dirname, "../..");
const target = "cli/src/settings.gen.ts";

interface Setting {
  name: string;
  type: string;
  fallback: string;
  meaning: string;
}

/** Words of `LORETOKEN_NAMES(Type, "text", "a", "b")` in settings.cpp: what a choice may be, by type. */
function choices(): Map<string, string[]> {
  const source = readFileSync(join(root, "shim/src/base/settings.cpp"), "utf8");
  const found = new Map<string, string[]>();
  for (const [, type = "", list = ""] of source.matchAll(/^LORETOKEN_NAMES\((\w+),([^)]*)\)/gm)) {
    found.set(type, strings(list).slice(1));
  }
  return found;
}

function strings(text: string): string[] {
  return [...text.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([quoted]) => JSON.parse(quoted) as string);
}

/** Splits macro arguments at commas outside of strings; adjacent strings are one, as in C. */
function splitArguments(text: string): string[] {
  const parts = text.match(/(?:"(?:[^"\\]|\\.)*"|[^,"])+/g) ?? [];
  return parts.map((part) => (part.includes('"') ? strings(part).join("") : part.trim()));
}

function settings(): Setting[] {
  const source = readFileSync(join(root, "shim/src/base/settings.def"), "utf8").replaceAll(/\\\n/g, " ");
  const allowed = choices();
  const list: Setting[] = [];
  for (const [, kind = "", body = ""] of source.matchAll(/^SETTING_(\w+)\(((?:"(?:[^"\\]|\\.)*"|[^")])*)\)/gm)) {
    const [, name = "", ...rest] = splitArguments(body);
    list.push({ name, ...describe(kind, name, rest, allowed) });
  }
  const entries = source.match(/^SETTING_/gm)?.length ?? 0;
  if (list.length === 0 || list.length !== entries) {
    throw new Error(`settings.def: ${entries} settings, ${list.length} understood`);
  }
  return list;
}

function describe(kind: string, name: string, rest: string[], allowed: Map<string, string[]>): Omit<Setting, "name"> {
  const [first = "", second = "", third = "", fourth = ""] = rest;
  if (kind === "SIZE") return { type: "size", fallback: first, meaning: second };
  if (kind === "TEXT") return { type: "text", fallback: first, meaning: second };
  if (kind === "NUMBER") return { type: `number ${second}…${third}`, fallback: first, meaning: fourth };
  if (kind !== "CHOICE") throw new Error(`settings.def: ${name} is of unknown kind ${kind}`);
  const values = allowed.get(first) ?? [];
  const fallback = values.find((value) => `k${value}`.toLowerCase() === second.toLowerCase());
  if (fallback === undefined) throw new Error(`settings.def: ${name}: ${second} is none of ${values.join(", ")}`);
  return { type: values.join("|"), fallback, meaning: third };
}

function render(list: Setting[]): string {
  const quote = (text: string): string => (text.includes('"') ? `'${text}'` : JSON.stringify(text));
  const entries = list.map(
    ({ name, type, fallback, meaning }) =>
      `  {\n    name: ${quote(name)},\n    type: ${quote(type)},\n    fallback: ${quote(fallback)},\n    meaning: ${quote(meaning)},\n  },\n`,
  );
  return [
    "// Generated from shim/src/base/settings.def by make generate.\n\n",
    "export interface Setting {\n",
    "  readonly name: string;\n  readonly type: string;\n",
    '  /** Used when the variable is not set; "" where the meaning says what then holds. */\n',
    "  readonly fallback: string;\n  readonly meaning: string;\n}\n\n",
    "export const settings: readonly Setting[] = [\n",
    ...entries,
    "];\n",
  ].join("");
}

const folder = process.argv[2];
if (folder === undefined) throw new Error("usage: generate-settings.ts <folder>");
const path = join(folder, target);
mkdirSync(dirname(path), { recursive: true });
writeFileSync(path, render(settings()));
