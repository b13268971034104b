import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import type { Artifacts } from "./artifacts.ts";
import { programEnvironment } from "./environment.ts";
import { UsageError } from "./errors.ts";

const folder = mkdtempSync(join(tmpdir(), "loretoken-test-"));
after(() => rmSync(folder, { recursive: true }));

function artifacts(home: string): Artifacts {
  mkdirSync(join(home, "sim"), { recursive: true });
  for (const file of ["lib.so", "sim/libcuda.so.1", "sim/kernels.so", "probe"]) writeFileSync(join(home, file), "");
  return {
    shim: join(home, "lib.so"),
    kernels: join(home, "kernels.fatbin"),
    simulator: join(home, "sim"),
    simulatorKernels: join(home, "sim/kernels.so"),
    probe: join(home, "probe"),
  };
}

const parts = artifacts(folder);
const plain = { settings: {}, gpu: undefined, telemetry: undefined };

test("the shim comes before what is preloaded already", () => {
  assert.equal(programEnvironment({}, parts, plain).LD_PRELOAD, parts.shim);
  assert.equal(programEnvironment({ LD_PRELOAD: "/a.so" }, parts, plain).LD_PRELOAD, `${parts.shim}:/a.so`);
});

test("options replace settings of the environment, others stay", () => {
  const base = { LORETOKEN_LIMIT: "1GiB", LORETOKEN_LOG: "debug", HOME: "/h" };
  const made = programEnvironment(base, parts, { ...plain, settings: { LORETOKEN_LIMIT: "2GiB" } });
  assert.equal(made.LORETOKEN_LIMIT, "2GiB");
  assert.equal(made.LORETOKEN_LOG, "debug");
  assert.equal(made.HOME, "/h");
});

test("frameworks are asked to leave caching to the driver", () => {
  const made = programEnvironment({}, parts, plain);
  assert.equal(made.PYTORCH_ALLOC_CONF, "backend:cudaMallocAsync");
  assert.equal(made.PYTORCH_CUDA_ALLOC_CONF, "backend:cudaMallocAsync");
  assert.equal(made.XLA_PYTHON_CLIENT_ALLOCATOR, "cuda_async");
  assert.equal(made.TF_GPU_ALLOCATOR, "cuda_malloc_async");
});

test("a hint is not given where the user set one of its group, whichever spelling", () => {
  const made = programEnvironment({ PYTORCH_CUDA_ALLOC_CONF: "expandable_segments:True" }, parts, plain);
  assert.equal(made.PYTORCH_CUDA_ALLOC_CONF, "expandable_segments:True");
  assert.equal(made.PYTORCH_ALLOC_CONF, undefined);
  assert.equal(made.TF_GPU_ALLOCATOR, "cuda_malloc_async");
  assert.equal(programEnvironment({ TF_GPU_ALLOCATOR: "" }, parts, plain).TF_GPU_ALLOCATOR, "");
});

test("simulated cards: the simulator is found first, with its own kernels", () => {
  const gpu = { kind: "simulated", devices: "1GiB,2GiB" } as const;
  const made = programEnvironment({ LD_LIBRARY_PATH: "/x" }, parts, { ...plain, gpu });
  assert.equal(made.LD_LIBRARY_PATH, `${parts.simulator}:/x`);
  assert.equal(made.LORETOKEN_SIM_DEVICES, "1GiB,2GiB");
  assert.equal(made.LORETOKEN_KERNELS, parts.simulatorKernels);
});

test("a real card is chosen by the driver's own variable", () => {
  const made = programEnvironment({}, parts, { ...plain, gpu: { kind: "real", visible: "1" } });
  assert.equal(made.CUDA_VISIBLE_DEVICES, "1");
  assert.equal(made.LORETOKEN_KERNELS, undefined);
});

test("what is not built is named with the fix", () => {
  assert.throws(
    () => programEnvironment({}, { ...parts, shim: "/nowhere/lib.so" }, plain),
    (error: unknown) => error instanceof UsageError && /\/nowhere\/lib\.so/.test(error.message) && !!error.fix,
  );
});

test("a folder that LD_PRELOAD cannot name is refused, not silently ignored", () => {
  const odd = artifacts(join(folder, "with blank"));
  assert.throws(() => programEnvironment({}, odd, plain), /blank, colon or semicolon/);
});
