/** The environment in which the program starts. */
import { hintsUnless } from "@loretoken/api/hints";
import { type Artifacts, need } from "./artifacts.ts";
import { UsageError } from "./errors.ts";
import type { Gpu } from "./gpu.ts";

export interface Request {
  readonly settings: Readonly<Record<string, string>>;
  readonly gpu: Gpu | undefined;
  /** File for the shim's counters; undefined: none asked for. */
  readonly telemetry: string | undefined;
}

/**
 * `base` with the shim preloaded, settings, hints and the choice of card added. The settings that `base` holds stay
 * unless an option replaces them.
 * @throws {UsageError} if a built part is missing or cannot be named to the loader.
 */
export function programEnvironment(base: NodeJS.ProcessEnv, artifacts: Artifacts, request: Request): NodeJS.ProcessEnv {
  const shim = need(artifacts.shim, "the shim");
  const environment: NodeJS.ProcessEnv = {
    ...base,
    ...hintsUnless((name) => base[name] !== undefined),
    ...request.settings,
  };
  environment.LD_PRELOAD = prepend(loadable(shim), base.LD_PRELOAD);
  if (request.telemetry !== undefined) environment.LORETOKEN_TELEMETRY = request.telemetry;
  if (request.gpu?.kind === "real") environment.CUDA_VISIBLE_DEVICES = request.gpu.visible;
  if (request.gpu?.kind === "simulated") Object.assign(environment, simulatorEnvironment(base, artifacts, request.gpu));
  return environment;
}

export function simulatorEnvironment(
  base: NodeJS.ProcessEnv,
  artifacts: Artifacts,
  gpu: Gpu & { kind: "simulated" },
): Record<string, string> {
  need(`${artifacts.simulator}/libcuda.so.1`, "the simulator");
  return {
    LD_LIBRARY_PATH: prepend(loadable(artifacts.simulator), base.LD_LIBRARY_PATH),
    LORETOKEN_SIM_DEVICES: gpu.devices,
    LORETOKEN_KERNELS: need(artifacts.simulatorKernels, "the simulator's kernels"),
  };
}

function prepend(first: string, rest: string | undefined): string {
  return rest ? `${first}:${rest}` : first;
}

/** The dynamic loader splits its lists at colons, semicolons and blanks and has no way to quote them. */
function loadable(path: string): string {
  if (!/[\s:;]/.test(path)) return path;
  throw new UsageError(`the path ${path} contains a blank, colon or semicolon, which LD_PRELOAD cannot hold`, {
    fix: "install or check out LoreToken in a folder without them",
    exitCode: 1,
  });
}
