import assert from "node:assert/strict";
import test from "node:test";
import { event as layout, type TelemetryEvent } from "@loretoken/telemetry";
import { holdingOf } from "../testing/fixtures.ts";
import { guardEvent } from "./guard-events.ts";
import { owner } from "./testing/node.ts";

const [full, hold, off] = [0, 1, 2];
const [none, integrity, thermal, power, penalty, device] = [0, 1, 2, 3, 4, 7];

function told(fields: Partial<TelemetryEvent>): { reason: string; words: string } {
  const empty = layout.read(new DataView(new ArrayBuffer(layout.size)), 0);
  const holding = holdingOf("a", ["0-1"]);
  const position = { epoch: 1, inode: "1:1", number: 1, realtime: 0 };
  const { reason, message } = guardEvent(holding, owner, { ...empty, text: "why", ...fields }, position);
  return { reason, words: message.replace(`GPU ${holding.gpuUuid}; why`, "").replace("; ", "") };
}

test("what a guardrail does more of has the guardrail's reason", () => {
  assert.deepEqual(told({ guard: thermal, figure: 91_000, limit: 85_000 }), {
    reason: "ThermalBackoff",
    words: "91.0 °C, limit 85.0 °C",
  });
  assert.deepEqual(told({ guard: power, to_mode: hold, figure: 690_000, limit: 630_000 }), {
    reason: "PowerBackoff",
    words: "690 W, limit 630 W; mode full to hold",
  });
  assert.deepEqual(told({ guard: penalty, figure: 312, limit: 100 }), {
    reason: "PenaltyBackoff",
    words: "launches waited 31.2 % of the time, limit 10.0 %",
  });
});

test("what it lets go of is told as resumed, in whatever mode", () => {
  assert.equal(told({ guard: thermal, eased: 1, figure: 80_000, limit: 85_000 }).reason, "CompressionResumed");
  assert.equal(told({ guard: penalty, from_mode: hold, to_mode: full, eased: 1 }).reason, "CompressionResumed");
  assert.equal(told({ guard: penalty, from_mode: off, to_mode: hold }).reason, "CompressionResumed", "an older shim's");
});

test("off is said as such, except where the guardrail's reason says more", () => {
  assert.equal(told({ guard: thermal, from_mode: hold, to_mode: off }).reason, "CompressionDisabled");
  assert.equal(told({ guard: none, to_mode: off }).reason, "CompressionDisabled");
  assert.equal(told({ guard: integrity, to_mode: off, figure: 1, limit: 1 }).reason, "IntegrityMismatch");
});

test("a policy that holds has a reason of its own", () => {
  assert.deepEqual(told({ guard: none, to_mode: hold }), { reason: "CompressionHeld", words: "mode full to hold" });
});

test("a device's figure is its XID; what has none is in the words", () => {
  assert.deepEqual(told({ guard: device, to_mode: hold, figure: 79 }), {
    reason: "DeviceFault",
    words: "XID 79; mode full to hold",
  });
  assert.equal(told({ guard: device, to_mode: hold }).words, "mode full to hold");
});
