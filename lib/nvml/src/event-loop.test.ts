/** What watching does with answers that the simulated cards do not give. */
import assert from "node:assert/strict";
import test from "node:test";
import { type Calls, loadCalls } from "./calls.ts";
import { errorCode } from "./errors.ts";
import { type WatchReport, watchLoop } from "./event-loop.ts";
import { openSimulated, simulatedLibrary } from "./testing/simulator.ts";

const real = loadCalls(simulatedLibrary);
const lost = errorCode("NVML_ERROR_GPU_IS_LOST");
const nvml = openSimulated();
const uuids = nvml.devices().devices.map(({ uuid }) => uuid);
nvml.close();

/** Runs the loop for so many waits. */
async function run(
  changed: Partial<Calls>,
  waits: number,
): Promise<{ reports: WatchReport[]; pauses: number; waited: number }> {
  const reports: WatchReport[] = [];
  let pauses = 0;
  let waited = 0;
  const calls: Calls = { ...real, ...changed };
  await watchLoop({
    calls: {
      ...calls,
      nvmlEventSetWait_v2: (...words) => {
        waited += 1;
        return calls.nvmlEventSetWait_v2(...words);
      },
    },
    report: (report) => reports.push(report),
    stopped: () => waited >= waits,
    pause: async () => {
      pauses += 1;
    },
    now: () => 1,
    slice: 1,
  });
  return { reports, pauses, waited };
}

/** A card that is lost from the second wait on, and with it every set that it is in. */
function losing(index: number): Partial<Calls> {
  let waits = 0;
  const sets = new Map<bigint, Set<bigint>>();
  const handles: bigint[] = [];
  const isLost = (device: bigint): boolean => waits > 1 && device === handles[index];
  return {
    nvmlDeviceGetHandleByIndex_v2: (at, out) => {
      const code = real.nvmlDeviceGetHandleByIndex_v2(at, out);
      handles[at] = out[0] ?? 0n;
      return code;
    },
    nvmlDeviceGetPowerUsage: (device, out) => (isLost(device) ? lost : real.nvmlDeviceGetPowerUsage(device, out)),
    nvmlDeviceRegisterEvents: (device, types, set) => {
      sets.set(set, (sets.get(set) ?? new Set()).add(device));
      return real.nvmlDeviceRegisterEvents(device, types, set);
    },
    nvmlEventSetWait_v2: async (set, data, milliseconds) => {
      waits += 1;
      const sick = [...(sets.get(set) ?? [])].some(isLost);
      return sick ? lost : real.nvmlEventSetWait_v2(set, data, milliseconds);
    },
  };
}

test("a GPU that is lost while watched is told once, and the other is watched on", async () => {
  const { reports, waited } = await run(losing(0), 6);
  assert.deepEqual(
    reports.map(({ kind }) => kind),
    ["watching", "lost", "ended"],
  );
  const [, loss, end] = reports;
  assert.ok(loss?.kind === "lost" && end?.kind === "ended");
  assert.equal(loss.device.uuid, uuids[0]);
  assert.equal(loss.device.error, "NVML_ERROR_GPU_IS_LOST");
  assert.equal(end.failure, undefined, "it was stopped, it did not fail");
  assert.equal(waited, 6);
});

test("with the last GPU lost, watching ends with a sentence", async () => {
  const both = { ...losing(0) };
  const { reports } = await run(
    { ...both, nvmlEventSetWait_v2: async () => lost, nvmlDeviceGetPowerUsage: () => lost },
    50,
  );
  assert.deepEqual(
    reports.map(({ kind }) => kind),
    ["watching", "lost", "lost", "ended"],
  );
  assert.deepEqual(reports.at(-1), { kind: "ended", failure: "no GPU is left whose events can be watched" });
});

test("a loss that no GPU admits to does not make the thread spin", async () => {
  const { reports, pauses } = await run({ nvmlEventSetWait_v2: async () => lost }, 4);
  assert.equal(pauses, 4);
  assert.deepEqual(
    reports.map(({ kind }) => kind),
    ["watching", "ended"],
  );
});

test("a GPU without events is named, the others are watched", async () => {
  let asked = 0;
  const { reports } = await run(
    {
      nvmlDeviceRegisterEvents: (device, types, set) =>
        asked++ === 0 ? errorCode("NVML_ERROR_NOT_SUPPORTED") : real.nvmlDeviceRegisterEvents(device, types, set),
    },
    2,
  );
  const [first] = reports;
  assert.ok(first?.kind === "watching");
  assert.deepEqual(first.uuids, [uuids[1]]);
  assert.deepEqual(
    first.unwatched.map(({ uuid, error }) => [uuid, error]),
    [[uuids[0], "NVML_ERROR_NOT_SUPPORTED"]],
  );
});

test("a GPU that offers neither XIDs nor ECC events is not taken for watched", async () => {
  const { reports } = await run(
    {
      nvmlDeviceGetSupportedEventTypes: (_device, types) => {
        types[0] = 0x14;
        return 0;
      },
    },
    2,
  );
  assert.deepEqual(
    reports.map((report) => (report.kind === "watching" ? report.unwatched.map(({ error }) => error) : report)),
    [
      ["NVML_ERROR_NOT_SUPPORTED", "NVML_ERROR_NOT_SUPPORTED"],
      { kind: "ended", failure: "no GPU is left whose events can be watched" },
    ],
  );
});

test("a GPU that is lost from the beginning is named without a UUID", async () => {
  const { reports } = await run(
    {
      nvmlDeviceGetHandleByIndex_v2: (index, out) =>
        index === 0 ? lost : real.nvmlDeviceGetHandleByIndex_v2(index, out),
    },
    2,
  );
  const [first] = reports;
  assert.ok(first?.kind === "watching");
  assert.deepEqual(first.uuids, [uuids[1]]);
  assert.deepEqual(
    first.unwatched.map(({ uuid, error }) => [uuid, error]),
    [[undefined, "NVML_ERROR_GPU_IS_LOST"]],
  );
});

test("another failure of the wait ends watching with NVML's name, and cleanly", async () => {
  let freed = 0;
  const { reports } = await run(
    {
      nvmlEventSetWait_v2: async () => errorCode("NVML_ERROR_UNKNOWN"),
      nvmlEventSetFree: (set) => {
        freed += 1;
        return real.nvmlEventSetFree(set);
      },
    },
    50,
  );
  const last = reports.at(-1);
  assert.ok(last?.kind === "ended");
  assert.match(last.failure ?? "", /nvmlEventSetWait_v2: NVML_ERROR_UNKNOWN/);
  assert.equal(freed, 1);
  assert.equal(real.nvmlDeviceGetCount_v2([0]), errorCode("NVML_ERROR_UNINITIALIZED"), "every start was ended");
});
