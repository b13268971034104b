/** The command against the real shim on a simulated card (make build first). */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";

const root = join(import.meta.dirname, "../..");
const main = join(import.meta.dirname, "main.ts");
const example = join(process.env.LORETOKEN_BUILD ?? join(root, "build/release"), "bin/lt_train_example");

function loretoken(...words: string[]) {
  return spawnSync(process.execPath, [main, ...words], { encoding: "utf8", timeout: 300_000 });
}

const program = [example, "--live", "128MiB", "--steps", "8", "--hash-only"];

test("a program gets the same bits on a small card as on a large one, and the report shows how", () => {
  assert.ok(existsSync(example), `${example} is missing: run make build`);
  const large = loretoken("run", "--gpu", "sim:1GiB", "--", ...program);
  const small = loretoken("run", "--gpu", "sim:96MiB", "--virtual", "512MiB", "--report", "--", ...program);
  assert.equal(large.status, 0, large.stderr);
  assert.equal(small.status, 0, small.stderr);
  assert.match(large.stdout, /^[0-9a-f]{16}\n$/);
  assert.equal(small.stdout, large.stdout);
  assert.match(small.stderr, /moves +\d+ packed/);
  assert.match(small.stderr, /mode +full/);
});

test("doctor finds a simulated card in order", () => {
  const result = loretoken("doctor", "--gpu", "sim:256MiB");
  assert.doesNotMatch(result.stdout, /FAIL/, result.stdout);
  assert.match(result.stdout, /ok +mode +full/);
  assert.equal(result.status, 0, result.stdout + result.stderr);
});

test("doctor says what is missing where there is no driver", () => {
  const result = spawnSync(process.execPath, [main, "doctor"], {
    encoding: "utf8",
    env: { ...process.env, LD_LIBRARY_PATH: "", CUDA_VISIBLE_DEVICES: "" },
  });
  assert.equal(result.status, 1);
  assert.match(result.stdout, /FAIL .*\n +fix: /);
});
