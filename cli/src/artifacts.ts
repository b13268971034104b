/** Where the built parts are: beside the bundled command in the npm package, or in the build folder of a checkout. */
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { UsageError } from "./errors.ts";

export interface Artifacts {
  readonly shim: string;
  /** Kernels for GPUs; only there if the build had nvcc. The shim finds them beside itself. */
  readonly kernels: string;
  /** Folder with the simulator's libcuda.so.1 and libnvidia-ml.so.1. */
  readonly simulator: string;
  readonly simulatorKernels: string;
  readonly probe: string;
}

function packaged(folder: string): Artifacts {
  return {
    shim: join(folder, "libloretoken.so"),
    kernels: join(folder, "loretoken_kernels.fatbin"),
    simulator: join(folder, "sim"),
    simulatorKernels: join(folder, "sim/loretoken_kernels_sim.so"),
    probe: join(folder, "bin/doctor_probe"),
  };
}

function built(folder: string): Artifacts {
  return { ...packaged(join(folder, "lib")), probe: join(folder, "bin/doctor_probe") };
}

/** `LORETOKEN_BUILD` names another build folder (say, one with sanitizers). */
export function findArtifacts(environment: NodeJS.ProcessEnv): Artifacts {
  if (environment.LORETOKEN_BUILD) return built(resolve(environment.LORETOKEN_BUILD));
  const here = dirname(fileURLToPath(import.meta.url));
  const beside = join(here, "loretoken");
  return existsSync(beside) ? packaged(beside) : built(resolve(here, "../../build/release"));
}

/** @returns `path`. @throws {UsageError} if nothing is there. */
export function need(path: string, what: string): string {
  if (existsSync(path)) return path;
  throw new UsageError(`${what} is missing: ${path}`, {
    fix: "in a checkout run make build; from npm install the package again",
    exitCode: 1,
  });
}
