import assert from "node:assert/strict";
import test from "node:test";
import type { Reading } from "@loretoken/nvml";
import { GpuGuard, sameVerdict } from "./guard.ts";
import { judgeHeat, judgePower, type Limits } from "./judge.ts";

const none: Limits = {
  maxTemperature: undefined,
  minTemperatureMargin: undefined,
  maxPowerPercent: undefined,
  thermalReasons: ["HwThermalSlowdown"],
  powerReasons: ["HwPowerBrakeSlowdown"],
};

function reading(changes: Partial<Reading> = {}): Reading {
  return {
    memory: undefined,
    temperature: 60,
    marginToSlowdown: 25,
    powerMilliwatts: 300_000,
    powerLimitMilliwatts: 700_000,
    clockReasons: [],
    uncorrectedErrors: 0,
    ...changes,
  };
}

test("heat is judged by degrees, with room before calm", () => {
  const limits = { ...none, maxTemperature: 85 };
  const at = (temperature: number) => judgeHeat(reading({ temperature }), limits);
  assert.deepEqual(at(86), { strain: "broken", figure: 86_000, limit: 85_000 });
  assert.equal(at(85).strain, "between");
  assert.equal(at(83).strain, "between");
  assert.equal(at(82).strain, "calm");
});

test("heat is judged by the margin where cards state only that; figures are degrees all the same", () => {
  const limits = { ...none, minTemperatureMargin: 5 };
  const at = (marginToSlowdown: number, temperature?: number) =>
    judgeHeat(reading({ marginToSlowdown, temperature }), limits);
  assert.deepEqual(at(4, 81), { strain: "broken", figure: 81_000, limit: 80_000 });
  assert.equal(at(5, 80).strain, "between");
  assert.equal(at(8, 77).strain, "calm");
  assert.deepEqual(at(-3), { strain: "broken", figure: 0, limit: 5000 }, "no sign in the layout");
});

test("power is judged as a share of the limit that holds", () => {
  const limits = { ...none, maxPowerPercent: 90 };
  const at = (watts: number) => judgePower(reading({ powerMilliwatts: watts * 1000 }), limits);
  assert.deepEqual(at(640), { strain: "broken", figure: 640_000, limit: 630_000 });
  assert.equal(at(620).strain, "between");
  assert.equal(at(590).strain, "calm");
});

test("power is judged in watts too; of both limits the worse one counts", () => {
  const limits = { ...none, maxPowerMilliwatts: 500_000 };
  const at = (watts: number, also = {}) =>
    judgePower(reading({ powerMilliwatts: watts * 1000 }), { ...limits, ...also });
  assert.deepEqual(at(501), { strain: "broken", figure: 501_000, limit: 500_000 });
  assert.equal(at(490).strain, "between");
  assert.equal(at(475).strain, "calm");
  assert.deepEqual(at(650, { maxPowerPercent: 95 }), { strain: "broken", figure: 650_000, limit: 500_000 });
  assert.deepEqual(at(450, { maxPowerPercent: 60 }), { strain: "broken", figure: 450_000, limit: 420_000 });
});

test("limits may change while it watches: a broken one that is gone lets go as after any calm", () => {
  const guard = new GpuGuard({ limits: none, rail: { escalate: 10, release: 30, mostRelease: 100 } });
  assert.equal(guard.look(reading({ temperature: 80 }), undefined, 0), undefined);
  guard.limits = { ...none, maxTemperature: 75 };
  assert.equal(guard.look(reading({ temperature: 80 }), undefined, 1)?.guard, "thermal");
  guard.limits = none;
  assert.equal(guard.look(reading({ temperature: 80 }), undefined, 2)?.guard, "thermal");
  assert.equal(guard.look(reading({ temperature: 80 }), undefined, 32), undefined);
});

test("what the card says itself counts, whatever the figures", () => {
  const slowed = reading({ clockReasons: ["HwThermalSlowdown"] });
  assert.deepEqual(judgeHeat(slowed, { ...none, maxTemperature: 85 }), { strain: "broken", figure: 60_000, limit: 0 });
  assert.equal(judgePower(slowed, none).strain, "calm");
  assert.equal(judgePower(reading({ clockReasons: ["HwPowerBrakeSlowdown"] }), none).strain, "broken");
  assert.equal(judgePower(reading({ clockReasons: ["SwPowerCap"] }), none).strain, "calm", "a busy card's everyday");
});

test("a card that tells nothing is calm", () => {
  const silent = reading({
    temperature: undefined,
    marginToSlowdown: undefined,
    powerMilliwatts: undefined,
    clockReasons: undefined,
  });
  const limits = { ...none, maxTemperature: 85, minTemperatureMargin: 5, maxPowerPercent: 90 };
  assert.equal(judgeHeat(silent, limits).strain, "calm");
  assert.equal(judgePower(silent, limits).strain, "calm");
});

test("the strictest guardrail decides, and says its figure", () => {
  const limits = { ...none, maxTemperature: 85, maxPowerPercent: 90 };
  const guard = new GpuGuard({ limits, rail: { escalate: 10, release: 30, mostRelease: 100 } });
  assert.equal(guard.look(reading(), undefined, 0), undefined);
  assert.deepEqual(guard.look(reading({ temperature: 90 }), undefined, 1), {
    mode: "full",
    guard: "thermal",
    figure: 90_000,
    limit: 85_000,
    backoff: 1,
  });
  const ill = guard.look(reading({ temperature: 91 }), 79, 2);
  assert.deepEqual(ill, { mode: "hold", guard: "device", figure: 79, limit: 0, backoff: 1 });
  const hot = { temperature: 92, powerMilliwatts: 690_000 };
  assert.equal(guard.look(reading(hot), 79, 11)?.guard, "device", "among equals the first");
  const off = guard.look(reading(hot), 79, 21);
  assert.deepEqual([off?.mode, off?.guard], ["off", "thermal"]);
});

test("a GPU that does not answer keeps what held", () => {
  const guard = new GpuGuard({
    limits: { ...none, maxTemperature: 85 },
    rail: { escalate: 10, release: 30, mostRelease: 100 },
  });
  guard.look(reading({ temperature: 90 }), undefined, 0);
  assert.equal(guard.look(undefined, 0, 50)?.guard, "device");
  assert.equal(guard.look(reading({ temperature: 84 }), undefined, 60)?.guard, "thermal");
});

test("verdicts that ask for the same are the same, whatever their figures", () => {
  const verdict = { mode: "hold", guard: "thermal", figure: 1, limit: 2, backoff: 1 } as const;
  assert.ok(sameVerdict(verdict, { ...verdict, figure: 5 }));
  assert.ok(sameVerdict(undefined, undefined));
  assert.ok(!sameVerdict(verdict, undefined));
  assert.ok(!sameVerdict(verdict, { ...verdict, mode: "off" }));
});
