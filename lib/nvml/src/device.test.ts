import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import test, { after, afterEach } from "node:test";
import { nameReasons } from "./clocks.ts";
import { NvmlError } from "./errors.ts";
import { inject, openSimulated, simulatedDriver } from "./testing/simulator.ts";

const nvml = openSimulated();
after(() => nvml.close());
afterEach(() => inject());

const GiB = 2 ** 30;

function failsWith(name: string): (error: unknown) => boolean {
  return (error) => error instanceof NvmlError && error.error === name;
}

test("the driver tells its versions", () => {
  assert.match(nvml.driverVersion(), /^\d+\.\d+\.\d+$/);
  assert.match(nvml.nvmlVersion(), new RegExp(`^\\d+\\.${nvml.driverVersion()}$`));
});

test("devices are found by index and UUID, each as itself", () => {
  const { devices, unreachable } = nvml.devices();
  assert.deepEqual(unreachable, []);
  assert.deepEqual(
    devices.map(({ index, name, busId }) => ({ index, name, busId })),
    [
      { index: 0, name: "LoreToken Simulated GPU", busId: "00000000:01:00.0" },
      { index: 1, name: "LoreToken Simulated GPU", busId: "00000000:02:00.0" },
    ],
  );
  assert.equal(new Set(devices.map(({ uuid }) => uuid)).size, 2);
  for (const device of devices) {
    assert.match(device.uuid, /^GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    assert.equal(nvml.deviceByUuid(device.uuid).index, device.index);
    assert.equal(device.minorNumber(), device.index);
    assert.deepEqual(device.state, { state: "working" });
  }
});

test("a device that is not there is an error with NVML's name", () => {
  assert.throws(() => nvml.deviceByIndex(2), failsWith("NVML_ERROR_INVALID_ARGUMENT"));
  assert.throws(() => nvml.deviceByUuid("GPU-0"), failsWith("NVML_ERROR_NOT_FOUND"));
});

test("memory and processes of another program show until it ends", async () => {
  const device = nvml.deviceByIndex(1);
  assert.deepEqual(device.memory(), { total: GiB, reserved: 0, used: 0, free: GiB });
  assert.deepEqual(device.computeProcesses(), []);
  const bytes = 256 * 2 ** 20;
  const program = [join(import.meta.dirname, "testing/holder.ts"), simulatedDriver, String(bytes)];
  const holder = spawn(process.execPath, program, { stdio: ["pipe", "pipe", "inherit"] });
  try {
    const [said] = await once(holder.stdout, "data");
    assert.equal(String(said), "holding\n");
    assert.deepEqual(device.memory(), { total: GiB, reserved: 0, used: bytes, free: GiB - bytes });
    assert.deepEqual(device.computeProcesses(), [{ pid: holder.pid, usedBytes: bytes, gpuInstance: undefined }]);
    assert.deepEqual(nvml.deviceByIndex(0).computeProcesses(), []);
  } finally {
    holder.stdin.end();
    await once(holder, "exit");
  }
  assert.deepEqual(device.memory(), { total: GiB, reserved: 0, used: 0, free: GiB });
  assert.deepEqual(device.computeProcesses(), []);
});

test("temperature and margin follow the card, per device", async () => {
  const [first, second] = nvml.devices().devices;
  assert.ok(first && second);
  await inject("temperature=87", "temperature_margin=-3", "temperature.1=55", "temperature_margin.1=20");
  assert.deepEqual([first.temperature(), first.marginToSlowdown()], [87, -3]);
  assert.deepEqual([second.temperature(), second.marginToSlowdown()], [55, 20]);
});

test("limits that the card states as margins are told as margins", () => {
  assert.deepEqual(nvml.deviceByIndex(0).temperatureLimits(), {
    unit: "margin",
    maximum: 0,
    slowdown: -2,
    shutdown: -8,
  });
});

test("power is told in milliwatts beside the limit that holds", async () => {
  await inject("power_watts=650.5", "power_watts.1=90");
  assert.equal(nvml.deviceByIndex(0).powerMilliwatts(), 650_500);
  assert.equal(nvml.deviceByIndex(1).powerMilliwatts(), 90_000);
  assert.equal(nvml.deviceByIndex(0).powerLimitMilliwatts(), 700_000);
});

test("clock reasons have names, and clocks fall with them", async () => {
  const device = nvml.deviceByIndex(0);
  assert.deepEqual(device.clockReasons(), []);
  assert.deepEqual(device.clocks(), device.highestClocks());
  await inject("throttle=0x64");
  assert.deepEqual(device.clockReasons(), ["SwPowerCap", "SwThermalSlowdown", "HwThermalSlowdown"]);
  const slowed = device.clocks();
  const highest = device.highestClocks();
  assert.ok((slowed.sm ?? Number.NaN) < (highest.sm ?? Number.NaN), `${slowed.sm} < ${highest.sm}`);
  assert.deepEqual([highest.graphics, highest.sm, highest.memory], [1980, 1980, 3201]);
});

test("a reason that only a later driver knows is not swallowed", async () => {
  await inject("throttle=0x8000000000000201");
  assert.deepEqual(nvml.deviceByIndex(0).clockReasons(), ["GpuIdle", "Unknown:0x200", "Unknown:0x8000000000000000"]);
  assert.deepEqual(nameReasons(0x1ffn).length, 9);
});

test("uncorrected ECC errors are counted", async () => {
  const device = nvml.deviceByIndex(1);
  assert.equal(device.uncorrectedErrors(), 0);
  await inject("ecc_errors.1=3");
  assert.equal(device.uncorrectedErrors(), 3);
  assert.equal(nvml.deviceByIndex(0).uncorrectedErrors(), 0);
});

test("MIG is told as it is", () => {
  assert.deepEqual(nvml.deviceByIndex(0).migMode(), { current: false, pending: false });
});

test("one round reads everything", async () => {
  await inject("temperature=66", "temperature_margin=9", "power_watts=500", "throttle=0x4", "ecc_errors=1");
  assert.deepEqual(nvml.deviceByIndex(1).read(), {
    state: "working",
    memory: { total: GiB, reserved: 0, used: 0, free: GiB },
    temperature: 66,
    marginToSlowdown: 9,
    powerMilliwatts: 500_000,
    powerLimitMilliwatts: 700_000,
    clockReasons: ["SwPowerCap"],
    uncorrectedErrors: 1,
  });
});
