/** Settings from defaults, the file and flags, later ones winning. All that is wrong is told at once. */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { parse, YAMLParseError } from "yaml";
import type { z } from "zod";
import { type Setting, type SettingsSchema, settingsOf } from "./setting.ts";

/** What the user wrote cannot be used; each line of the message names field, value and what is allowed. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

export type CommandLine<S extends SettingsSchema> =
  | { readonly config: z.output<S> }
  | { readonly show: "help" | "version" };

export interface Source<S extends SettingsSchema> {
  readonly schema: S;
  /** A line of a file, for who wrote something else. */
  readonly example: string;
  /** Reads a file as text. */
  readonly read?: (file: string) => string;
}

/** @throws {ConfigError} */
export function readCommandLine<S extends SettingsSchema>(words: readonly string[], source: Source<S>): CommandLine<S> {
  const { schema, example, read = (file) => readFileSync(file, "utf8") } = source;
  const known = settingsOf(schema);
  const given = parseWords(words, known);
  if (given.help) return { show: "help" };
  if (given.version) return { show: "version" };
  const file = given.config === undefined ? {} : withTexts(readFile(given.config, example, read), known);
  const flags = Object.fromEntries(
    known.flatMap((setting) => {
      const text = given.flags[setting.flag.slice(2)];
      return text === undefined ? [] : [[setting.key, toValue(setting, text)]];
    }),
  );
  const result = schema.safeParse({ ...file, ...flags }, { reportInput: true });
  if (result.success) return { config: result.data };
  const lines = result.error.issues.map((issue) => sentence(issue, known, flags, given.config));
  throw new ConfigError([...new Set(lines)].join("\n"));
}

interface Given {
  readonly help: boolean;
  readonly version: boolean;
  readonly config: string | undefined;
  readonly flags: Readonly<Record<string, string | undefined>>;
}

function parseWords(words: readonly string[], known: readonly Setting[]): Given {
  const named = known.map(({ flag }) => [flag.slice(2), { type: "string" as const }]);
  const fixed = { help: { type: "boolean" as const, short: "h" }, version: { type: "boolean" as const } };
  const options = { ...Object.fromEntries(named), config: { type: "string" as const }, ...fixed };
  try {
    const { values } = parseArgs({ args: [...words], options, strict: true });
    const { help = false, version = false, config, ...flags } = values as Record<string, string> & typeof values;
    return { help: Boolean(help), version: Boolean(version), config: config as string | undefined, flags };
  } catch (error) {
    throw new ConfigError(
      `${error instanceof Error ? error.message.split(". ")[0] : error}; flags are listed by --help`,
    );
  }
}

function readFile(file: string, example: string, read: (file: string) => string): object {
  let text: string;
  try {
    text = read(file);
  } catch (error) {
    throw new ConfigError(`--config ${file}: cannot be read: ${error instanceof Error ? error.message : error}`);
  }
  try {
    const content: unknown = parse(text) ?? {};
    if (typeof content === "object" && !Array.isArray(content)) return content as object;
  } catch (error) {
    const why = error instanceof YAMLParseError ? error.message : String(error);
    throw new ConfigError(`--config ${file}: not YAML: ${why}`);
  }
  throw new ConfigError(`--config ${file}: settings by name are wanted, as "${example}"`);
}

/** YAML makes a number of `reserve: 4096`. */
function withTexts(file: object, known: readonly Setting[]): object {
  const texts = new Set(known.filter(({ kind }) => kind === "text").map(({ key }) => key));
  const entries = Object.entries(file).map(([key, value]) => [
    key,
    typeof value === "number" && texts.has(key) ? String(value) : value,
  ]);
  return Object.fromEntries(entries);
}

/** What the flag's text is; one that is no number stays text, so that the schema says what is allowed. */
function toValue({ kind }: Setting, text: string): unknown {
  const number = (part: string): number | string =>
    part.trim() === "" || Number.isNaN(Number(part)) ? part : Number(part);
  const parts = text === "" ? [] : text.split(",").map((part) => part.trim());
  if (kind === "number") return number(text);
  if (kind === "list of texts") return parts;
  return kind === "list of numbers" ? parts.map(number) : text;
}

function sentence(
  issue: z.core.$ZodIssue,
  known: readonly Setting[],
  flags: Readonly<Record<string, unknown>>,
  file: string | undefined,
): string {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => `${key}: unknown setting in ${file}; settings are listed by --help`).join("\n");
  }
  const key = String(issue.path[0] ?? "");
  const setting = known.find((candidate) => candidate.key === key);
  const name = key in flags ? setting?.flag : `${key} in ${file}`;
  const value = JSON.stringify(issue.input) ?? "nothing";
  return `${name}: ${value} is not allowed; allowed: ${setting?.allowed ?? issue.message}`;
}
