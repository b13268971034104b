/**
 * Builds programs of a cluster ahead of the tests: `node test/cluster/src/binaries/main.ts [--clean] [program…]`.
 * Without a program: all that `make e2e` needs, which is a node and Helm. `--clean` then removes what only another build would use (gigabytes).
 */
import { parseArgs } from "node:util";
import { cacheOf, MissingGoError, removeBuildFolders } from "./build.ts";
import { controlPrograms, nodePrograms, type ProgramName, programs } from "./catalog.ts";
import { provide } from "./index.ts";

const { values, positionals } = parseArgs({ allowPositionals: true, options: { clean: { type: "boolean" } } });
const unknown = positionals.filter((name) => !(name in programs));
if (unknown.length > 0) {
  console.error(`cluster: unknown program ${unknown.join(", ")}; known are: ${Object.keys(programs).join(", ")}`);
  process.exit(2);
}
const names: readonly ProgramName[] =
  positionals.length > 0 ? (positionals as ProgramName[]) : [...controlPrograms, ...nodePrograms, "helm"];
try {
  const found = await provide(names, (message) => console.error(`cluster: ${message}`));
  for (const [name, file] of Object.entries(found)) console.log(`${name} ${file}`);
  if (values.clean) await removeBuildFolders(cacheOf(process.env));
} catch (error) {
  if (error instanceof MissingGoError) console.error(`cluster: ${error.message}`);
  else console.error(error);
  process.exit(1);
}
