import assert from "node:assert/strict";
import test from "node:test";
import { controlBlock } from "@loretoken/telemetry/control";
import { goodPolicies } from "../testing/policies.ts";
import { type CompressionPolicy, compressionPolicy } from "./compression-policy.ts";
import { toControl, toNodeSettings } from "./control.ts";

function policyOf(spec: object, generation?: number): CompressionPolicy {
  return compressionPolicy.parse({
    metadata: { name: "p", ...(generation === undefined ? {} : { generation }) },
    spec,
  });
}

test("a policy that says nothing: full, checked always, guarded, all else as the agent has it", () => {
  assert.deepEqual(toControl(policyOf({}, 3)), {
    policyGeneration: 3,
    mode: "full",
    verify: "always",
    integrity: "fail",
    integrityThreshold: 1,
    integrityWindowSeconds: 3600,
    maxPenaltyPermille: 100,
    penaltyWindowMilliseconds: 10_000,
    pointerSafety: "learned",
  });
  assert.deepEqual(toNodeSettings(policyOf({})), {});
  assert.deepEqual(toNodeSettings(undefined), {});
});

test("every field in the units of the control block", () => {
  const policy = policyOf({
    mode: "hold",
    verify: "sample",
    pointerSafety: "strict",
    codecs: { allow: ["zero_run", "constant"] },
    tiers: { host: { limitPerContainer: "1.5Gi" } },
    guardrails: {
      integrity: { action: "passthrough", threshold: 3, windowSeconds: 60 },
      penalty: { maxPercent: 5, windowSeconds: 30 },
    },
  });
  assert.deepEqual(toControl(policy), {
    policyGeneration: 0,
    mode: "hold",
    verify: "sample",
    integrity: "passthrough",
    integrityThreshold: 3,
    integrityWindowSeconds: 60,
    maxPenaltyPermille: 50,
    penaltyWindowMilliseconds: 30_000,
    pointerSafety: "strict",
    codecs: ["zero_run", "constant"],
    hostLimit: 3n << 29n,
  });
});

test("a host tier that is off is a limit of 0, not one that is not set", () => {
  assert.equal(toControl(policyOf({ tiers: { host: { enabled: false } } })).hostLimit, 0n);
  assert.ok(!("hostLimit" in toControl(policyOf({ tiers: { host: { enabled: true } } }))));
});

test("limits of heat and power are the node's, whatever the pod's policy says", () => {
  const pods = policyOf({ guardrails: { thermal: { maxCelsius: 90 }, power: { maxPercent: 100 } } });
  const nodes = policyOf({ expansion: 2, guardrails: { thermal: { marginCelsius: 5 }, power: { maxWatts: 600 } } });
  const { maxTemperature, maxPowerMilliwatts, maxPowerPermille, ...rest } = toControl(pods, toNodeSettings(nodes));
  assert.deepEqual([maxTemperature, maxPowerMilliwatts], [{ marginMilliCelsius: 5000 }, 600_000]);
  assert.equal(maxPowerPermille, undefined);
  assert.ok(!("expansion" in rest));
});

test("settings of a node: expansion, the reserve in bytes or permille, limits", () => {
  const settings = (spec: object): object => toNodeSettings(policyOf(spec));
  assert.deepEqual(settings({ expansion: 2.125, physicalReserve: "2.5%" }), {
    expansion: 2.125,
    reserve: { permille: 25 },
  });
  assert.deepEqual(settings({ physicalReserve: "2Gi" }), { reserve: { bytes: 2n << 30n } });
  assert.deepEqual(settings({ physicalReserve: "0" }), { reserve: { bytes: 0n } });
  assert.deepEqual(settings({ guardrails: { thermal: { maxCelsius: 85 }, power: { maxPercent: 95 } } }), {
    maxTemperature: { milliCelsius: 85_000 },
    maxPowerPermille: 950,
  });
});

for (const { what, spec } of goodPolicies) {
  test(`the control block takes what the schema takes: ${what}`, () => {
    const policy = policyOf(spec, 1);
    const block = toControl(policy, toNodeSettings(policy));
    const { heartbeat: _, devices: __, ...written } = controlBlock.parse(block);
    assert.deepEqual(written, block);
  });
}
