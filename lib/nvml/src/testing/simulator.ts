/**
 * The simulated NVML for tests: two cards of its own per test process, faults by its control file. Import it before
 * anything loads the library. Build first (make build).
 */
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Nvml } from "../nvml.ts";
import { openNvml } from "../open.ts";

const root = join(import.meta.dirname, "../../../..");
const build = process.env.LORETOKEN_BUILD ?? join(root, "build/release");
export const simulatedLibrary = join(build, "lib/sim/libnvidia-ml.so.1");
export const simulatedDriver = join(build, "lib/sim/libcuda.so.1");
if (!existsSync(simulatedLibrary)) throw new Error(`${simulatedLibrary} is missing: run make build`);

const folder = mkdtempSync(join(tmpdir(), "loretoken-nvml-"));
const control = join(folder, "control");
process.env.LORETOKEN_SIM_STATE = join(folder, "state");
process.env.LORETOKEN_SIM_CONTROL = control;
process.env.LORETOKEN_SIM_DEVICES = "24GiB,1GiB";
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

/** Longer than the simulator takes to see a changed control file. */
const noticed = 30;

/** Puts these lines into force, in the place of those before. */
export async function inject(...lines: string[]): Promise<void> {
  writeFileSync(`${control}.new`, `${lines.join("\n")}\n`);
  renameSync(`${control}.new`, control);
  await sleep(noticed);
}

let sequence = 0;
/** A line that makes the simulator tell this XID once more. */
export function xidLine(code: number, device: number): string {
  sequence += 1;
  return `xid=${code}:${device}:${sequence}`;
}

/** NVML on the simulated cards. The caller closes it. */
export function openSimulated(): Nvml {
  const opened = openNvml({ library: simulatedLibrary });
  if (opened.state !== "ready") throw new Error(opened.sentence);
  return opened.nvml;
}
