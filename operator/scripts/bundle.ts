/**
 * Makes operator/dist, what the operator's image has: the program as one file, to be run as package.json's script "start" says.
 * Usage: node operator/scripts/bundle.ts [another folder; package.json is looked for beside it]
 */
import { cpSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { bundleHttpClient, common } from "../../scripts/bundle/common.ts";

const home = join(import.meta.dirname, "..");
const dist = resolve(process.argv[2] ?? join(home, "dist"));

rmSync(dist, { recursive: true, force: true });
await build({ ...common, entryPoints: { "loretoken-operator": join(home, "src/main.ts") }, outdir: dist });
await bundleHttpClient(dist);
cpSync(join(home, "../LICENSE"), join(dist, "LICENSE"));
writeFileSync(join(dist, "package.json"), `${JSON.stringify({ type: "module", private: true }, undefined, 2)}\n`);
