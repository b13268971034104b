/** The command as a user meets it: its own process, standing parts in the place of the built ones. */
import assert from "node:assert/strict";
import { type SpawnSyncReturns, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";

const folder = mkdtempSync(join(tmpdir(), "loretoken-test-"));
after(() => rmSync(folder, { recursive: true }));

/** A build folder whose shim is an empty file: the loader says so on standard error and goes on. */
const build = join(folder, "build");
mkdirSync(join(build, "lib/sim"), { recursive: true });
for (const file of [
  "libloretoken.so",
  "loretoken_kernels.fatbin",
  "sim/libcuda.so.1",
  "sim/loretoken_kernels_sim.so",
]) {
  writeFileSync(join(build, "lib", file), "");
}
const main = join(import.meta.dirname, "main.ts");
const environment = { ...process.env, LORETOKEN_BUILD: build, TMPDIR: folder };

function loretoken(...words: string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [main, ...words], { env: environment, encoding: "utf8", input: "typed" });
}

test("the program's exit code is ours", () => {
  assert.equal(loretoken("run", "--", "sh", "-c", "exit 37").status, 37);
  assert.equal(loretoken("run", "--report", "--", "sh", "-c", "exit 37").status, 37);
  assert.equal(loretoken("run", "--", "true").status, 0);
});

test("a program killed by a signal looks killed by that signal", () => {
  for (const signal of ["TERM", "KILL", "SEGV", "INT"]) {
    assert.equal(loretoken("run", "--", "sh", "-c", `ulimit -c 0; kill -${signal} $$`).signal, `SIG${signal}`);
  }
});

test("standard input and output are the program's", () => {
  const result = loretoken("run", "--", "cat");
  assert.equal(result.stdout, "typed");
});

test("signals sent to us reach the program, which decides what they mean", async () => {
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"] as const) {
    const script = `trap 'echo got; exit 5' ${signal.slice(3)}; echo ready; while :; do sleep 0.05; done`;
    const child = spawn(process.execPath, [main, "run", "--", "sh", "-c", script], {
      env: environment,
      stdio: ["ignore", "pipe", "ignore"],
    });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
      if (output === "ready\n") child.kill(signal);
    });
    const [code] = (await once(child, "exit")) as [number];
    assert.equal(code, 5, signal);
    assert.equal(output, "ready\ngot\n");
  }
});

test("the program sees settings, card and preloaded shim", () => {
  const result = loretoken("run", "--limit", "1GiB", "--gpu", "sim:2GiB", "--", "env");
  assert.match(result.stdout, /^LORETOKEN_LIMIT=1GiB$/m);
  assert.match(result.stdout, /^LORETOKEN_SIM_DEVICES=2GiB$/m);
  assert.match(result.stdout, /^LD_PRELOAD=.*libloretoken\.so/m);
});

test("a program that is not there or not allowed ends as in a shell", () => {
  const missing = loretoken("run", "--", "no-such-program-here");
  assert.equal(missing.status, 127);
  assert.match(missing.stderr, /no-such-program-here: no such program/);
  assert.equal(loretoken("run", "--", folder).status, 126);
});

test("mistakes of use end with 2, cause and fix, and without a stack", () => {
  for (const words of [["run"], ["run", "--limit", "9Gi", "--", "true"], ["rum"], ["doctor", "--all"]]) {
    const result = loretoken(...words);
    assert.equal(result.status, 2, words.join(" "));
    assert.match(result.stderr, /^loretoken: .*\n {2}fix: .*\n$/);
    assert.equal(result.stdout, "");
  }
});

test("--report says why there is nothing to report, and leaves no file behind", () => {
  const result = loretoken("run", "--report", "--", "true");
  assert.match(result.stderr, /nothing to report/);
  assert.deepEqual(
    readdirSync(folder).filter((name) => name !== "build"),
    [],
  );
});

test("help and version", () => {
  assert.match(loretoken("--version").stdout, /^loretoken \d+\.\d+\.\d+\n$/);
  assert.match(loretoken("--help").stdout, /loretoken run \[options\] -- program/);
  assert.match(loretoken("run", "--help").stdout, /LORETOKEN_VIRTUAL/);
  assert.equal(loretoken().status, 2);
});
