/** `loretoken doctor`: checks from the libc up to the hooks; every failure comes with its fix. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { modes, readTelemetry } from "@loretoken/telemetry";
import { type Artifacts, findArtifacts, need } from "./artifacts.ts";
import { type DriverAnswer, driverFindings, type Finding, hookFindings, libcFinding } from "./doctor-findings.ts";
import { programEnvironment, simulatorEnvironment } from "./environment.ts";
import { UsageError } from "./errors.ts";
import { type Gpu, parseGpu } from "./gpu.ts";

/** @returns the exit status: 0 if everything is in order. @throws {UsageError} */
export async function doctor(words: readonly string[]): Promise<number> {
  const gpu = parseDoctorOptions(words);
  const artifacts = findArtifacts(process.env);
  const findings = examine(artifacts, gpu);
  for (const finding of findings) process.stdout.write(render(finding));
  return findings.every(({ good }) => good) ? 0 : 1;
}

function parseDoctorOptions(words: readonly string[]): Gpu | undefined {
  const [first, second, ...rest] = words;
  if (first === undefined) return undefined;
  if (first.startsWith("--gpu=") && second === undefined) return parseGpu(first.slice("--gpu=".length));
  if (first === "--gpu" && second !== undefined && rest.length === 0) return parseGpu(second);
  throw new UsageError(`doctor does not understand ${words.join(" ")}`, { fix: "loretoken doctor [--gpu CARD]" });
}

/** Stops where what follows could only fail for the same reason. */
function examine(artifacts: Artifacts, gpu: Gpu | undefined): Finding[] {
  const probe = need(artifacts.probe, "the probe");
  const answer = ask(probe, "driver", cardEnvironment(artifacts, gpu)) as DriverAnswer;
  const findings = [
    libcFinding(answer),
    shimFinding(artifacts),
    kernelsFinding(artifacts, gpu),
    ...driverFindings(answer),
  ];
  if (findings.every(({ good }) => good)) findings.push(...selfTest(artifacts, gpu));
  return findings;
}

function cardEnvironment(artifacts: Artifacts, gpu: Gpu | undefined): NodeJS.ProcessEnv {
  if (gpu?.kind === "simulated") return { ...process.env, ...simulatorEnvironment(process.env, artifacts, gpu) };
  return gpu?.kind === "real" ? { ...process.env, CUDA_VISIBLE_DEVICES: gpu.visible } : process.env;
}

function ask(probe: string, what: string, environment: NodeJS.ProcessEnv): unknown {
  const result = spawnSync(probe, [what], { env: environment, encoding: "utf8", timeout: 60_000 });
  try {
    return JSON.parse(result.stdout);
  } catch {
    const ending =
      result.error?.message ?? (result.signal ? `killed by ${result.signal}` : `exit code ${result.status}`);
    return { error: `the probe gave no answer (${ending}) ${result.stderr ?? ""}`.trim() };
  }
}

/** A shell without a GPU must start under the shim, and say nothing. */
function shimFinding(artifacts: Artifacts): Finding {
  const environment = programEnvironment(process.env, artifacts, {
    settings: {},
    gpu: undefined,
    telemetry: undefined,
  });
  const result = spawnSync("/bin/true", [], { env: environment, encoding: "utf8", timeout: 30_000 });
  if (result.status === 0 && result.stderr === "") return { what: "shim", good: true, text: `${artifacts.shim} loads` };
  return {
    what: "shim",
    good: false,
    text: `/bin/true under ${artifacts.shim}: ${result.stderr.trim() || result.signal || result.status}`,
    fix: "build it on this machine: make build",
  };
}

function kernelsFinding(artifacts: Artifacts, gpu: Gpu | undefined): Finding {
  const file =
    gpu?.kind === "simulated" ? artifacts.simulatorKernels : process.env.LORETOKEN_KERNELS || artifacts.kernels;
  if (existsSync(file)) return { what: "kernels", good: true, text: file };
  return {
    what: "kernels",
    good: false,
    text: `${file} is missing: without it the shim does nothing`,
    fix: "in a checkout run scripts/bootstrap.sh nvcc && make build; from npm install a package built with nvcc",
  };
}

/** A small program on the first card: each door, memory there and back, and what mode the shim settled on. */
function selfTest(artifacts: Artifacts, gpu: Gpu | undefined): Finding[] {
  const folder = mkdtempSync(join(tmpdir(), "loretoken-doctor-"));
  try {
    const telemetry = join(folder, "telemetry");
    const settings = { LORETOKEN_MODE: "full", LORETOKEN_VIRTUAL: "150%" };
    const environment = programEnvironment(process.env, artifacts, { settings, gpu, telemetry });
    const answer = ask(artifacts.probe, "hooks", environment);
    return [...hookFindings(answer, artifacts.shim), modeFinding(telemetry)];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function modeFinding(file: string): Finding {
  const fix = "run with LORETOKEN_LOG=debug to see where it gave up";
  try {
    const row = readTelemetry(file).rows[0];
    if (row === undefined) return { what: "mode", good: false, text: "the shim did not start on the card", fix };
    const name = modes[row.mode] ?? String(row.mode);
    const text = row.mode_cause ? `${name}: ${row.mode_cause}` : name;
    return name === "full" ? { what: "mode", good: true, text } : { what: "mode", good: false, text, fix };
  } catch (error) {
    return { what: "mode", good: false, text: error instanceof Error ? error.message : String(error), fix };
  }
}

function render({ what, good, text, fix }: Finding): string {
  const head = `${good ? "ok  " : "FAIL"}  ${what.padEnd(10)}${text}\n`;
  return good || fix === undefined ? head : `${head}      ${"".padEnd(10)}fix: ${fix}\n`;
}
