/** The operator's settings from defaults, the file and flags, and what they are called. */
import { type CommandLine, ConfigError, type Program, readCommandLine } from "@loretoken/service";
import { type Config, configSchema } from "./schema.ts";

export const program: Program = {
  name: "loretoken-operator",
  purpose: "The LoreToken operator: admits pods that ask for enlarged GPU memory.",
  schema: configSchema,
  keys: "leafLifeSeconds, replaceGpu",
};

/** @throws {ConfigError} */
export function loadConfig(
  words: readonly string[],
  read?: (file: string) => string,
): CommandLine<typeof configSchema> {
  const source = { schema: configSchema, example: "logLevel: debug", ...(read === undefined ? {} : { read }) };
  const line = readCommandLine(words, source);
  if ("config" in line) check(line.config);
  return line;
}

/** What one field alone does not show. @throws {ConfigError} */
function check(config: Config): void {
  const { certificates, certificateFolder, authorityLifeSeconds, leafLifeSeconds, settleSeconds, checkSeconds } =
    config;
  if (certificates === "mounted" && certificateFolder === undefined) {
    throw new ConfigError("--certificate-folder: nothing is not allowed with --certificates mounted; allowed: a path");
  }
  if (certificates === "own" && certificateFolder !== undefined) {
    throw new ConfigError(
      `--certificate-folder: ${certificateFolder} is not allowed with --certificates own; allowed: with mounted`,
    );
  }
  atMost("leaf-life-seconds", leafLifeSeconds, authorityLifeSeconds / 3, "a third of --authority-life-seconds");
  atMost("settle-seconds", settleSeconds, authorityLifeSeconds / 6, "a sixth of --authority-life-seconds");
  atMost("check-seconds", checkSeconds, leafLifeSeconds / 6, "a sixth of --leaf-life-seconds");
}

function atMost(flag: string, value: number, most: number, words: string): void {
  if (value <= most) return;
  throw new ConfigError(`--${flag}: ${value} is not allowed; allowed: at most ${most}, ${words}`);
}
