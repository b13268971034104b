/** The command line of `loretoken run`, from words to a checked record. */
import { UsageError } from "./errors.ts";
import { type Gpu, parseGpu } from "./gpu.ts";
import { parseSize } from "./size.ts";

export interface RunOptions {
  /** Settings for the shim by environment name, as the user wrote them. */
  readonly settings: Readonly<Record<string, string>>;
  readonly gpu: Gpu | undefined;
  readonly report: boolean;
  readonly program: readonly string[];
}

const sizeOptions: Readonly<Record<string, string>> = {
  "--limit": "LORETOKEN_LIMIT",
  "--virtual": "LORETOKEN_VIRTUAL",
  "--host": "LORETOKEN_HOST",
};

/** @returns the options, or "help" if help was asked for. @throws {UsageError} */
export function parseRunOptions(words: readonly string[]): RunOptions | "help" {
  const { options, program } = splitWords(words);
  const settings: Record<string, string> = {};
  let gpu: Gpu | undefined;
  let report = false;
  for (const { name, value } of options) {
    const setting = sizeOptions[name];
    if (setting !== undefined) {
      parseSize(name, value);
      settings[setting] = value;
    } else if (name === "--gpu") gpu = parseGpu(value);
    else if (name === "--check") settings.LORETOKEN_CHECK = "strict";
    else if (name === "--report") report = true;
    else return "help";
  }
  if (program.length === 0) {
    throw new UsageError("no program to run", { fix: "loretoken run [options] -- program [arguments]" });
  }
  checkSizes(settings);
  return { settings, gpu, report, program };
}

interface Option {
  readonly name: string;
  /** "" for flags. */
  readonly value: string;
}

const flags = ["--check", "--report", "--help", "-h"];
const withValue = [...Object.keys(sizeOptions), "--gpu"];

/** Options end at "--" or at the first word that is none. `--name value` and `--name=value` are the same. */
function splitWords(words: readonly string[]): { options: Option[]; program: readonly string[] } {
  const options: Option[] = [];
  let at = 0;
  while (at < words.length) {
    const word = words[at] ?? "";
    if (word === "--") return { options, program: words.slice(at + 1) };
    if (!word.startsWith("-")) break;
    const [, name = word, joined] = /^(--[^=]*)=(.*)$/s.exec(word) ?? [];
    const option = joined === undefined ? separate(name, words[at + 1]) : joint(name, joined);
    options.push(option);
    at += joined === undefined && withValue.includes(name) ? 2 : 1;
  }
  return { options, program: words.slice(at) };
}

function separate(name: string, next: string | undefined): Option {
  if (flags.includes(name)) return { name, value: "" };
  if (!withValue.includes(name)) throw unknownOption(name);
  if (next === undefined || next === "--") {
    throw new UsageError(`${name} needs a value`, { fix: `for example ${example(name)}` });
  }
  return { name, value: next };
}

function joint(name: string, value: string): Option {
  if (withValue.includes(name)) return { name, value };
  if (flags.includes(name)) throw new UsageError(`${name} takes no value`, { fix: `write ${name} alone` });
  throw unknownOption(name);
}

function unknownOption(name: string): UsageError {
  return new UsageError(`unknown option ${name}`, {
    fix: "options of loretoken come before --, those of the program after it; see loretoken run --help",
  });
}

function example(option: string): string {
  return option === "--gpu" ? "--gpu 0 or --gpu sim:24GiB" : `${option} 24GiB`;
}

/** What can be seen to be wrong before a card is known. */
function checkSizes(settings: Record<string, string>): void {
  const { LORETOKEN_LIMIT: limit, LORETOKEN_VIRTUAL: virtual } = settings;
  if (limit === undefined) return;
  const parsed = parseSize("--limit", limit);
  if ("bytes" in parsed && parsed.bytes < 64 * 2 ** 20) {
    throw new UsageError(`--limit ${limit}: less than 64 MiB leaves no room to work in`, {
      fix: "give at least 64MiB",
    });
  }
  if (virtual === undefined) return;
  const told = parseSize("--virtual", virtual);
  if ("bytes" in parsed && "bytes" in told && told.bytes < parsed.bytes) {
    throw new UsageError(`--virtual ${virtual} is below --limit ${limit}`, {
      fix: "the virtual size is what the program is told the card has: give at least the limit",
    });
  }
}
