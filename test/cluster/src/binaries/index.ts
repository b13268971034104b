/** Programs of a cluster: the machine's where their version fits, else built once into a cache. */
import { existsSync } from "node:fs";
import path from "node:path";
import { build, cacheOf } from "./build.ts";
import { type Program, type ProgramName, programs, type TargetName } from "./catalog.ts";
import { findOnMachine } from "./find.ts";
import type { Log } from "./progress.ts";

export type Programs<Name extends ProgramName = ProgramName> = Readonly<Record<Name, string>>;

/**
 * Paths of the programs asked for, built where the machine has none that fits.
 * @throws {MissingGoError} if something must be built and Go 1.26 is not there
 * @throws {Error} if a program of the system's packages is missing, or a build fails
 */
export async function provide<Name extends ProgramName>(
  names: readonly Name[],
  log: Log,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Programs<Name>> {
  const cache = cacheOf(environment);
  const found: Partial<Record<ProgramName, string>> = {};
  const missing = new Set<TargetName>();
  for (const name of names) {
    const program: Program = programs[name];
    const built = path.join(cache.bin, name);
    if (program.target !== undefined && existsSync(path.join(cache.bin, `.${program.target}`))) {
      found[name] = built;
      continue;
    }
    const own = await findOnMachine(name, environment);
    if (own !== undefined) {
      found[name] = own;
    } else if (program.target !== undefined) {
      missing.add(program.target);
      found[name] = built;
    } else {
      throw new Error(`${name} ${program.from.join(".")} or later was not found: run scripts/bootstrap.sh cluster`);
    }
  }
  for (const target of missing) await build(target, cache, environment, log);
  return found as Programs<Name>;
}
