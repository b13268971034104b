/**
 * Makes device-plugin/dist, what the agent's image has: the program as one file, and koffi, whose native part cannot be bundled. It
 * is run as package.json's script "start" says: with limits that keep V8 and malloc from taking memory that an agent does not need,
 * with one helper thread of V8, and without its last optimiser, which costs several MiB and wins nothing here. The live heap is
 * 18 MiB, and grows by a third before it is cleaned: V8's own --optimize-for-size cleans all the time, and an Allocate then waits.
 * Usage: node device-plugin/scripts/bundle.ts [another folder; package.json is looked for beside it]
 */
import { cpSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { bundleHttpClient, common } from "../../scripts/bundle/common.ts";

const home = join(import.meta.dirname, "..");
const root = join(home, "..");
const dist = resolve(process.argv[2] ?? join(home, "dist"));

rmSync(dist, { recursive: true, force: true });
await build({
  entryPoints: [join(home, "src/main.ts")],
  outfile: join(dist, "loretoken-agent.js"),
  ...common,
  external: ["koffi"],
});
await bundleHttpClient(dist);
// Of koffi only what runs: its sources and the binaries of other systems stay behind.
const native = `@koromix/koffi-linux-${process.arch}`;
for (const part of ["koffi/package.json", "koffi/index.js", "koffi/lib", "koffi/src", native]) {
  cpSync(join(root, "node_modules", part), join(dist, "node_modules", part), {
    recursive: true,
    filter: (source) => statSync(source).isDirectory() || /\.(js|cjs|json|node)$/.test(source),
  });
}
cpSync(join(root, "LICENSE"), join(dist, "LICENSE"));
writeFileSync(join(dist, "package.json"), `${JSON.stringify({ type: "module", private: true }, undefined, 2)}\n`);
