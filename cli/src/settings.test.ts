import assert from "node:assert/strict";
import test from "node:test";
import { runHelp } from "./help.ts";
import { settings } from "./settings.gen.ts";
import { unknownSettings } from "./settings.ts";

test("run --help names every setting with type, default and meaning", () => {
  const help = runHelp();
  for (const { name, type, fallback } of settings) {
    assert.ok(help.includes(`${name}\n      ${type}; default: ${fallback || "not set"}\n`), name);
  }
  for (const name of ["LORETOKEN_LIMIT", "LORETOKEN_VIRTUAL", "LORETOKEN_HOST", "LORETOKEN_TELEMETRY"]) {
    assert.ok(
      settings.some((setting) => setting.name === name),
      name,
    );
  }
});

test("a slip of the pen is named with what was meant", () => {
  assert.deepEqual(unknownSettings({ LORETOKEN_LIMIT: "1GiB", LORETOKEN_SIM_DEVICES: "1GiB", HOME: "/" }), []);
  assert.match(
    unknownSettings({ LORETOKEN_LIMTI: "1GiB" })[0] ?? "",
    /LORETOKEN_LIMTI is no setting; nearest: LORETOKEN_LIMIT/,
  );
});

test("in a container of the node agent nothing is taken for a slip", () => {
  assert.deepEqual(unknownSettings({ LORETOKEN_GPU: "GPU-1", LORETOKEN_UNITS: "4", LORETOKEN_ALLOCATION: "a" }), []);
});
