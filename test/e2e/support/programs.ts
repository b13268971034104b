/** Programs that tests of guardrails run in pods, what is done to them, and what they compute on plain CUDA. */
import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import type { Program } from "./guarded.ts";
import { build, directedImage, trainImage } from "./images.ts";

const run = promisify(execFile);
const directedKernels = "lt_fuzz_kernels_sim.so";
/** Buffers of 1.6 MB. */
const fillers = { LT_FILLERS: "160" };

/** They pack one unit in eight wrongly. */
export const wrongKernels = { LORETOKEN_KERNELS: "/app/lib/sim/lt_wrong_kernels_sim.so" };

/** In each packed blob on the device, at the next operation: the lowest bit of a byte in its payload. */
export const flippedBits = "flip_behind=1:device:4c544b420100:8192";

/** Launches take that much longer, so that the program still runs when it is looked at. */
export function braked(microseconds: number): string {
  return `slow=cuLaunchKernel:${microseconds}`;
}

export function trainingOf(args: readonly string[], env: Record<string, string> = {}): Program {
  return { image: trainImage, words: ["/app/bin/lt_train_example", ...args], env };
}

/** A scenario of test/integration/fuzz/directed.cpp. */
export function directedOf(scenario: string, env: Record<string, string>): Program {
  const words = ["/app/bin/lt_directed", scenario, `/app/lib/sim/${directedKernels}`];
  return { image: directedImage, words, env: { ...fillers, ...env } };
}

/** Output on plain CUDA. */
export function plainTraining(args: readonly string[]): Promise<string> {
  return plainly("lt_train_example", args);
}

/** Output on plain CUDA. */
export function plainDirected(scenario: string, env: Record<string, string>): Promise<string> {
  return plainly("lt_directed", [scenario, path.join(build, "lib/sim", directedKernels)], { ...fillers, ...env });
}

/** What a training computed. @throws {Error} for an output that has none of it */
export function results(output: string): string[] {
  return found(output, /^hash \S+|loss \S+|^revisited .*/gm);
}

/** What a directed program computed. @throws {Error} as `results` */
export function hashes(output: string): string[] {
  return found(output, /^[0-9a-f]{16}$/gm);
}

function found(output: string, pattern: RegExp): string[] {
  const all = output.match(pattern);
  if (all === null) throw new Error(`no results in: ${output}`);
  return all;
}

/** On a card that holds all of it. */
async function plainly(binary: string, words: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const { stdout } = await run(path.join(build, "bin", binary), [...words], {
    env: { ...process.env, LORETOKEN_SIM_DEVICES: "8GiB", LD_LIBRARY_PATH: path.join(build, "lib/sim"), ...env },
    maxBuffer: 1 << 24,
  });
  return stdout;
}
