import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { type Calls, callNames, loadCalls } from "./calls.ts";
import { errorCode, NvmlError } from "./errors.ts";
import { openNvml } from "./open.ts";
import { simulatedDriver, simulatedLibrary } from "./testing/simulator.ts";

/** The simulated library, with these functions in the place of its own. */
function loadWith(changed: Partial<Calls>): (library: string) => Calls {
  return (library) => ({ ...loadCalls(library), ...changed });
}

test("a node without the library has no driver, and that is a state", () => {
  assert.deepEqual(openNvml({ library: "libloretoken-absent.so.1" }), {
    state: "absent",
    reason: "no-library",
    sentence: "no NVIDIA driver on this node: libloretoken-absent.so.1 is not there",
  });
});

test("a file that is no library is told with the loader's words", () => {
  const opened = openNvml({ library: join(import.meta.dirname, "open.ts") });
  assert.ok(opened.state === "absent");
  assert.equal(opened.reason, "unusable-library");
  assert.match(opened.sentence, /cannot be used: .*open\.ts: .*(ELF|too short)/);
});

test("a library without NVML's functions does not start", () => {
  const opened = openNvml({ library: simulatedDriver });
  assert.ok(opened.state === "absent");
  assert.equal(opened.reason, "failed");
  assert.match(opened.sentence, /nvmlInit_v2: NVML_ERROR_FUNCTION_NOT_FOUND/);
});

const startCodes: [Parameters<typeof errorCode>[0], string, RegExp][] = [
  [
    "NVML_ERROR_DRIVER_NOT_LOADED",
    "no-driver",
    /^no NVIDIA driver on this node: the NVIDIA kernel module is not loaded/,
  ],
  ["NVML_ERROR_LIB_RM_VERSION_MISMATCH", "version-mismatch", /needs a restart of the node/],
  ["NVML_ERROR_NO_PERMISSION", "no-permission", /refuses this process/],
  ["NVML_ERROR_GPU_NOT_FOUND", "no-gpu", /^no NVIDIA GPU on this node/],
  ["NVML_ERROR_UNKNOWN", "failed", /does not answer: an internal error/],
];
for (const [name, reason, sentence] of startCodes) {
  test(`a start that ends in ${name} is the state ${reason}`, () => {
    const load = loadWith({ nvmlInit_v2: () => errorCode(name) });
    const opened = openNvml({ library: simulatedLibrary, load });
    assert.ok(opened.state === "absent");
    assert.equal(opened.reason, reason);
    assert.match(opened.sentence, sentence);
    assert.match(opened.sentence, new RegExp(name));
  });
}

test("a node without card has no GPU, and NVML is ended again", () => {
  let shutdowns = 0;
  const nvmlShutdown = (): number => {
    shutdowns += 1;
    return loadCalls(simulatedLibrary).nvmlShutdown();
  };
  const load = loadWith({ nvmlShutdown, nvmlDeviceGetCount_v2: () => 0 });
  const opened = openNvml({ library: simulatedLibrary, load });
  assert.ok(opened.state === "absent");
  assert.equal(opened.reason, "no-gpu");
  assert.match(opened.sentence, /^no NVIDIA GPU on this node/);
  assert.equal(shutdowns, 1);
});

test("every function is found in the library", async () => {
  const calls = loadCalls(simulatedLibrary);
  assert.deepEqual(
    callNames.filter((name) => !Object.hasOwn(calls[name], "async")),
    ["nvmlEventSetWait_v2"],
    "functions that are not the library's own, or are called in the pool",
  );
  assert.equal(await calls.nvmlEventSetWait_v2(0n, {}, 0), errorCode("NVML_ERROR_UNINITIALIZED"));
});

test("opened twice, each start needs its own end", () => {
  const first = openNvml({ library: simulatedLibrary });
  const second = openNvml({ library: simulatedLibrary });
  assert.ok(first.state === "ready" && second.state === "ready");
  const device = first.nvml.deviceByIndex(0);
  first.nvml.close();
  first.nvml.close();
  assert.equal(second.nvml.deviceCount(), 2, "the second still runs");
  const uninitialized = (error: unknown) => error instanceof NvmlError && error.error === "NVML_ERROR_UNINITIALIZED";
  assert.throws(() => first.nvml.deviceCount(), uninitialized);
  assert.throws(() => device.temperature(), uninitialized, "a handle of a closed NVML is not used again");
  second.nvml.close();
  assert.equal(loadCalls(simulatedLibrary).nvmlDeviceGetCount_v2([0]), 1, "every start was ended");
});
