/** Makes one file of the program here, for a machine without the project's packages: `node bundle.ts <folder>`. */
import path from "node:path";
import { build } from "esbuild";

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error("usage: node bundle.ts <folder>");
await build({
  entryPoints: [path.join(import.meta.dirname, "main.ts")],
  outdir: path.resolve(folder),
  bundle: true,
  platform: "node",
  target: "node24",
  format: "esm",
  external: ["koffi"],
  legalComments: "none",
  // Packages in the older form of modules call require.
  banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
});
