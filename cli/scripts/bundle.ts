/**
 * Makes cli/dist: the command as one file that Node 20 runs, and beside it the built parts that it starts programs
 * with. Runs before npm pack. LORETOKEN_BUILD names a build folder other than build/release.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { build } from "esbuild";

const home = join(import.meta.dirname, "..");
const built = resolve(process.env.LORETOKEN_BUILD ?? join(home, "../build/release"));
const dist = join(home, "dist");

/** From the build folder to dist/loretoken. */
const parts: readonly [string, string, "required" | "optional"][] = [
  ["lib/libloretoken.so", "libloretoken.so", "required"],
  ["lib/loretoken_kernels.fatbin", "loretoken_kernels.fatbin", "optional"],
  ["lib/sim/libcuda.so.1", "sim/libcuda.so.1", "required"],
  ["lib/sim/libnvidia-ml.so.1", "sim/libnvidia-ml.so.1", "required"],
  ["lib/sim/loretoken_kernels_sim.so", "sim/loretoken_kernels_sim.so", "required"],
  ["bin/doctor_probe", "bin/doctor_probe", "required"],
];

rmSync(dist, { recursive: true, force: true });
await build({
  entryPoints: [join(home, "src/main.ts")],
  outfile: join(dist, "loretoken.js"),
  bundle: true,
  platform: "node",
  target: "node20",
  format: "esm",
  legalComments: "none",
});
chmodSync(join(dist, "loretoken.js"), 0o755);

for (const [from, to, need] of parts) {
  const source = join(built, from);
  if (!existsSync(source)) {
    if (need === "required") throw new Error(`${source} is missing: run make build first`);
    process.stderr.write(`bundle: ${from} is not there (no nvcc): this package serves simulated cards only\n`);
    continue;
  }
  const target = join(dist, "loretoken", to);
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(source, target);
  if (!to.endsWith(".fatbin")) strip(target);
}
copyFileSync(join(home, "../LICENSE"), join(dist, "LICENSE"));

/** Without debug information a package is a tenth of the size; it stays as it is where there is no binutils. */
function strip(file: string): void {
  const result = spawnSync("strip", ["--strip-unneeded", file], { stdio: "ignore" });
  if (result.error) process.stderr.write(`bundle: ${file} keeps its debug information: ${result.error.message}\n`);
}
