/** The agent's settings from defaults, the file and flags. */
import { type CommandLine, ConfigError, readCommandLine } from "@loretoken/service";
import { type Config, configSchema } from "./schema.ts";

export { ConfigError };

/** @throws {ConfigError} */
export function loadConfig(
  words: readonly string[],
  read?: (file: string) => string,
): CommandLine<typeof configSchema> {
  const source = { schema: configSchema, example: "expansion: 1.5", ...(read === undefined ? {} : { read }) };
  const line = readCommandLine(words, source);
  return "config" in line ? { config: checked(line.config) } : line;
}

/** What one field alone does not show. */
function checked(config: Config): Config {
  if (config.mostReleaseSeconds < config.releaseSeconds) {
    throw new ConfigError(
      `--most-release-seconds: ${config.mostReleaseSeconds} is not allowed; allowed: at least --release-seconds, which is ${config.releaseSeconds}`,
    );
  }
  if (config.gpuAccess === "device-nodes" || config.driverFolder === undefined) return config;
  throw new ConfigError(
    `--driver-folder: ${config.driverFolder} is not allowed with --gpu-access ${config.gpuAccess}; allowed: with device-nodes`,
  );
}
