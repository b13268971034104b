/** What npm would publish: bundled and packed from the real build, then run from where a user would have it. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";

const home = join(import.meta.dirname, "..");
const folder = mkdtempSync(join(tmpdir(), "loretoken-package-"));
after(() => rmSync(folder, { recursive: true }));

test("the package holds command, shim and simulator, and works where it is unpacked", () => {
  execFileSync("npm", ["pack", "--pack-destination", folder], { cwd: home, stdio: "pipe" });
  const [archive = ""] = readdirSync(folder);
  assert.match(archive, /^loretoken-\d+\.\d+\.\d+\.tgz$/);
  execFileSync("tar", ["xzf", join(folder, archive), "-C", folder]);
  const files = readdirSync(join(folder, "package/dist/loretoken"), { recursive: true, encoding: "utf8" });
  for (const file of ["libloretoken.so", "sim/libcuda.so.1", "sim/loretoken_kernels_sim.so", "bin/doctor_probe"]) {
    assert.ok(files.includes(file), file);
  }
  const command = join(folder, "package/dist/loretoken.js");
  const { LORETOKEN_BUILD: _, ...environment } = process.env;
  const run = (...words: string[]) => spawnSync(command, words, { encoding: "utf8", env: environment, cwd: "/" });
  assert.match(run("--version").stdout, /^loretoken \d/);
  const inside = run("run", "--gpu", "sim:256MiB", "--", "sh", "-c", 'echo "$LD_PRELOAD"; exit 3');
  assert.equal(inside.stdout, `${join(folder, "package/dist/loretoken/libloretoken.so")}\n`);
  assert.equal(inside.stderr, "");
  assert.equal(inside.status, 3);
});
