/** The shim's settings, as the command line needs them. The list itself is generated. */
import { allocationVariables } from "@loretoken/api/names";
import { settings } from "./settings.gen.ts";

/** Variables that are ours but no settings of the shim: the simulator's, this command's own, and what the node agent tells. */
const others = [/^LORETOKEN_SIM_/, /^LORETOKEN_BUILD$/];
const told: readonly string[] = Object.values(allocationVariables);

/** A message for every LORETOKEN_* variable that nothing reads: most likely a slip of the pen. */
export function unknownSettings(environment: NodeJS.ProcessEnv): string[] {
  const names = settings.map(({ name }) => name);
  return Object.keys(environment)
    .filter((name) => name.startsWith("LORETOKEN_") && !names.includes(name))
    .filter((name) => !told.includes(name) && !others.some((pattern) => pattern.test(name)))
    .map((name) => `${name} is no setting; nearest: ${nearest(name, names)} (all: loretoken run --help)`);
}

function nearest(name: string, names: readonly string[]): string {
  const ranked = names.map((candidate) => ({ candidate, distance: distance(name, candidate) }));
  return ranked.reduce((best, entry) => (entry.distance < best.distance ? entry : best)).candidate;
}

/** Levenshtein distance. */
function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...a].entries()) {
    const current = [i + 1];
    for (const [j, other] of [...b].entries()) {
      const replaced = (previous[j] ?? 0) + (letter === other ? 0 : 1);
      current.push(Math.min(replaced, (previous[j + 1] ?? 0) + 1, (current[j] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
