/** Answers that the simulated cards do not give: put in the place of single answers of theirs. */
import assert from "node:assert/strict";
import test from "node:test";
import koffi from "koffi";
import { type Calls, loadCalls, type Out } from "./calls.ts";
import { errorCode, NvmlError } from "./errors.ts";
import { NO_INSTANCE, NOT_AVAILABLE, processInfo } from "./layout.ts";
import { Nvml } from "./nvml.ts";
import { simulatedLibrary } from "./testing/simulator.ts";

const real = loadCalls(simulatedLibrary);
const lost = errorCode("NVML_ERROR_GPU_IS_LOST");
const absent = errorCode("NVML_ERROR_NOT_SUPPORTED");

function nvmlWith(t: { after(end: () => void): void }, changed: Partial<Calls>): Nvml {
  const nvml = new Nvml({ ...real, ...changed }, simulatedLibrary);
  t.after(() => nvml.close());
  return nvml;
}

test("a GPU that is lost becomes a state with a sentence, and works again when it answers again", (t) => {
  let code = 0;
  const nvml = nvmlWith(t, {
    nvmlDeviceGetPowerUsage: (device, out) => (code === 0 ? real.nvmlDeviceGetPowerUsage(device, out) : code),
  });
  const [sick, other] = nvml.devices().devices;
  assert.ok(sick && other);
  code = lost;
  const state = {
    state: "lost",
    error: "NVML_ERROR_GPU_IS_LOST",
    sentence: "the GPU is lost: the GPU fell off the bus or cannot be reached",
  };
  assert.deepEqual(sick.read(), state);
  assert.deepEqual(sick.state, state);
  assert.throws(() => sick.powerMilliwatts(), NvmlError);
  assert.deepEqual(other.state, { state: "working" });
  assert.match(sick.uuid, /^GPU-/, "it keeps its name");
  code = errorCode("NVML_ERROR_RESET_REQUIRED");
  assert.equal((sick.read() as typeof state).error, "NVML_ERROR_RESET_REQUIRED");
  code = 0;
  assert.equal(sick.read().state, "working");
  assert.deepEqual(sick.state, { state: "working" });
});

test("a GPU that is lost at the start hides no other", (t) => {
  const nvml = nvmlWith(t, {
    nvmlDeviceGetHandleByIndex_v2: (index, out) =>
      index === 0 ? lost : real.nvmlDeviceGetHandleByIndex_v2(index, out),
  });
  const { devices, unreachable } = nvml.devices();
  assert.deepEqual(
    devices.map(({ index }) => index),
    [1],
  );
  assert.deepEqual(
    unreachable.map(({ index, error }) => [index, error.error]),
    [[0, "NVML_ERROR_GPU_IS_LOST"]],
  );
});

test("a failure that is no loss is thrown by a round too", (t) => {
  const nvml = nvmlWith(t, { nvmlDeviceGetPowerUsage: () => 999 });
  const device = nvml.deviceByIndex(0);
  assert.throws(
    () => device.read(),
    (error: unknown) => error instanceof NvmlError && error.error === "NVML_ERROR_UNKNOWN",
  );
  assert.deepEqual(device.state, { state: "working" });
});

test("what a GPU or an older driver does not offer is undefined", (t) => {
  const missing = errorCode("NVML_ERROR_FUNCTION_NOT_FOUND");
  const device = nvmlWith(t, {
    nvmlDeviceGetMemoryInfo_v2: () => absent,
    nvmlDeviceGetComputeRunningProcesses_v3: () => missing,
    nvmlDeviceGetTemperature: () => absent,
    nvmlDeviceGetMarginTemperature: () => missing,
    nvmlDeviceGetFieldValues: () => absent,
    nvmlDeviceGetPowerUsage: () => absent,
    nvmlDeviceGetEnforcedPowerLimit: () => absent,
    nvmlDeviceGetClockInfo: () => absent,
    nvmlDeviceGetCurrentClocksEventReasons: () => missing,
    nvmlDeviceGetCurrentClocksThrottleReasons: () => absent,
    nvmlDeviceGetTotalEccErrors: () => absent,
    nvmlDeviceGetMigMode: () => absent,
  }).deviceByIndex(0);
  const nothing = { graphics: undefined, sm: undefined, memory: undefined };
  const { state, ...figures } = device.read() as Record<string, unknown>;
  assert.equal(state, "working");
  assert.deepEqual(device.clocks(), nothing);
  assert.equal(device.migMode(), undefined);
  assert.equal(Object.keys(figures).length, 7);
  assert.deepEqual(new Set(Object.values(figures)), new Set([undefined]));
  assert.equal(device.computeProcesses(), undefined);
  assert.equal(device.temperatureLimits(), undefined);
});

test("a driver that knows the reasons by their older name is asked by it", (t) => {
  const nvml = nvmlWith(t, {
    nvmlDeviceGetCurrentClocksEventReasons: () => errorCode("NVML_ERROR_FUNCTION_NOT_FOUND"),
    nvmlDeviceGetCurrentClocksThrottleReasons: (_device, bits) => {
      bits[0] = 0x40;
      return 0;
    },
  });
  assert.deepEqual(nvml.deviceByIndex(0).clockReasons(), ["HwThermalSlowdown"]);
});

test("a GPU with limits in degrees has a margin all the same", (t) => {
  const degrees: Record<number, number> = { 0: 95, 1: 90, 3: 85 };
  const device = nvmlWith(t, {
    nvmlDeviceGetMarginTemperature: () => errorCode("NVML_ERROR_FUNCTION_NOT_FOUND"),
    nvmlDeviceGetTemperatureThreshold: (_device, threshold, out) => {
      out[0] = degrees[threshold] ?? Number.NaN;
      return 0;
    },
    nvmlDeviceGetTemperature: (_device, _sensor, out) => {
      out[0] = 70;
      return 0;
    },
  }).deviceByIndex(0);
  assert.deepEqual(device.temperatureLimits(), { unit: "degrees", maximum: 85, slowdown: 90, shutdown: 95 });
  assert.equal(device.marginToSlowdown(), 15);
});

test("more processes than there was room for are read with more room", (t) => {
  const count = 100;
  const size = koffi.sizeof(processInfo);
  const rooms: number[] = [];
  const listing = (_device: bigint, room: Out<number>, infos: Uint8Array | null): number => {
    rooms.push(room[0]);
    const enough = room[0] >= count && infos !== null;
    room[0] = count;
    if (!enough) return errorCode("NVML_ERROR_INSUFFICIENT_SIZE");
    const view = new DataView(infos.buffer, infos.byteOffset);
    for (let index = 0; index < count; ++index) {
      view.setUint32(index * size, 1000 + index, true);
      view.setBigUint64(index * size + 8, index === 7 ? NOT_AVAILABLE : BigInt(index) << 33n, true);
      view.setUint32(index * size + 16, index === 8 ? 3 : NO_INSTANCE, true);
    }
    return 0;
  };
  const device = nvmlWith(t, { nvmlDeviceGetComputeRunningProcesses_v3: listing }).deviceByIndex(0);
  const processes = device.computeProcesses() ?? [];
  assert.equal(processes.length, count);
  assert.deepEqual(processes[7], { pid: 1007, usedBytes: undefined, gpuInstance: undefined });
  assert.deepEqual(processes[8], { pid: 1008, usedBytes: 8 * 2 ** 33, gpuInstance: 3 });
  assert.equal(rooms.length, 2);
});

test("limits of which a GPU states only some are told so", (t) => {
  const device = nvmlWith(t, {
    nvmlDeviceGetFieldValues: (_device, _count, values) => {
      for (const [at, field] of values.entries()) {
        values[at] = { ...field, nvmlReturn: field.fieldId === 194 ? 0 : absent, value: -5 };
      }
      return 0;
    },
  }).deviceByIndex(0);
  assert.deepEqual(device.temperatureLimits(), {
    unit: "margin",
    maximum: undefined,
    slowdown: -5,
    shutdown: undefined,
  });
});

test("errors are those that could not be corrected, since the driver was loaded", (t) => {
  const device = nvmlWith(t, {
    nvmlDeviceGetTotalEccErrors: (_device, type, counter, count) => {
      count[0] = 10 * type + counter;
      return 0;
    },
  }).deviceByIndex(0);
  assert.equal(device.uncorrectedErrors(), 10, "type 1 is uncorrected, counter 0 is volatile");
});
