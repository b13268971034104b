#!/usr/bin/env node
/** The command `loretoken`. */
import { doctor } from "./doctor.ts";
import { UsageError } from "./errors.ts";
import { mainHelp } from "./help.ts";
import { StartError } from "./launch.ts";
import { run } from "./run.ts";
import { version } from "./version.ts";

async function main(words: readonly string[]): Promise<void> {
  const [command, ...rest] = words;
  switch (command) {
    case "run":
      return run(rest);
    case "doctor":
      process.exitCode = await doctor(rest);
      return;
    case "--version":
    case "-V":
      process.stdout.write(`loretoken ${version()}\n`);
      return;
    case "--help":
    case "-h":
    case "help":
      process.stdout.write(mainHelp);
      return;
    case undefined:
      process.stderr.write(mainHelp);
      process.exitCode = 2;
      return;
    default:
      throw new UsageError(`unknown command ${command}`, { fix: "commands are run and doctor; see loretoken --help" });
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError || error instanceof StartError)) throw error;
  const fix = error instanceof UsageError && error.fix !== undefined ? `  fix: ${error.fix}\n` : "";
  process.stderr.write(`loretoken: ${error.message}\n${fix}`);
  process.exitCode = error.exitCode;
}
