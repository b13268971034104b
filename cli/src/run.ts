/** `loretoken run`. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readTelemetry } from "@loretoken/telemetry";
import { findArtifacts } from "./artifacts.ts";
import { programEnvironment } from "./environment.ts";
import { runHelp } from "./help.ts";
import { endAs, launch } from "./launch.ts";
import { parseRunOptions, type RunOptions } from "./options.ts";
import { renderReport } from "./report.ts";
import { unknownSettings } from "./settings.ts";

/** Ends this process as the program ended. @throws {UsageError} {StartError} */
export async function run(words: readonly string[]): Promise<void> {
  const options = parseRunOptions(words);
  if (options === "help") {
    process.stdout.write(runHelp());
    return;
  }
  for (const warning of unknownSettings(process.env)) process.stderr.write(`loretoken: ${warning}\n`);
  if (options.report) await runWithReport(options);
  else endAs(await launch(options.program, environmentFor(options, undefined)));
}

function environmentFor(options: RunOptions, telemetry: string | undefined): NodeJS.ProcessEnv {
  const artifacts = findArtifacts(process.env);
  if (options.gpu?.kind !== "simulated" && !process.env.LORETOKEN_KERNELS && !existsSync(artifacts.kernels)) {
    process.stderr.write(
      `loretoken: no kernels for GPUs here (${artifacts.kernels}): the program will run as on plain CUDA\n` +
        "  fix: in a checkout run scripts/bootstrap.sh nvcc && make build\n",
    );
  }
  return programEnvironment(process.env, artifacts, { settings: options.settings, gpu: options.gpu, telemetry });
}

/** A telemetry file that the user named stays; ours lives in a folder of its own that only the user can read. */
async function runWithReport(options: RunOptions): Promise<void> {
  const own = process.env.LORETOKEN_TELEMETRY ? undefined : mkdtempSync(join(tmpdir(), "loretoken-"));
  const file = own === undefined ? (process.env.LORETOKEN_TELEMETRY ?? "") : join(own, "telemetry");
  const removeOwn = (): void => {
    if (own !== undefined) rmSync(own, { recursive: true, force: true });
  };
  process.on("exit", removeOwn);
  const begin = process.hrtime.bigint();
  const ending = await launch(options.program, environmentFor(options, file));
  const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
  process.stderr.write(report(file, seconds));
  removeOwn();
  endAs(ending);
}

function report(file: string, seconds: number): string {
  if (!existsSync(file)) {
    return "loretoken: nothing to report: the program used no CUDA driver, or the shim was switched off\n";
  }
  try {
    return renderReport(readTelemetry(file), seconds);
  } catch (error) {
    return `loretoken: no report: ${error instanceof Error ? error.message : String(error)}\n`;
  }
}
