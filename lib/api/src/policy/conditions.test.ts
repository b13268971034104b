import assert from "node:assert/strict";
import test from "node:test";
import { type Condition, conditions, policyConditions, withCondition } from "./conditions.ts";

const first = "2026-11-28T12:00:00Z";
const later = "2026-11-28T12:05:00Z";

test("a condition that is new is added, with the status of its reason", () => {
  const found = withCondition(
    [],
    { type: "Applied", reason: "Delivering", message: "2 of 3", observedGeneration: 4 },
    first,
  );
  assert.deepEqual(found, [
    {
      type: "Applied",
      status: "False",
      observedGeneration: 4,
      lastTransitionTime: first,
      reason: "Delivering",
      message: "2 of 3",
    },
  ]);
  assert.deepEqual(conditions.parse(found), found);
});

test("the time of transition is that of the status, not of the reason", () => {
  const before = withCondition(
    [],
    { type: "Applied", reason: "Delivering", message: "", observedGeneration: 4 },
    first,
  );
  const behind = withCondition(
    before,
    { type: "Applied", reason: "NodesBehind", message: "", observedGeneration: 5 },
    later,
  );
  assert.deepEqual(
    [behind[0]?.reason, behind[0]?.lastTransitionTime, behind[0]?.observedGeneration],
    ["NodesBehind", first, 5],
  );
  const done = withCondition(
    behind,
    { type: "Applied", reason: "Everywhere", message: "", observedGeneration: 5 },
    later,
  );
  assert.deepEqual([done[0]?.status, done[0]?.lastTransitionTime], ["True", later]);
});

test("other conditions stay as and where they are", () => {
  const accepted: Condition = {
    type: "Accepted",
    status: "True",
    lastTransitionTime: first,
    reason: "Valid",
    message: "",
  };
  const other: Condition = { ...accepted, type: "Theirs" };
  const found = withCondition(
    [accepted, other],
    { type: "Accepted", reason: "Suspended", message: "", observedGeneration: 1 },
    later,
  );
  assert.deepEqual(
    found.map(({ type, status }) => `${type}=${status}`),
    ["Accepted=False", "Theirs=True"],
  );
  assert.equal(found[1], other);
});

test("every reason is one that the API server takes, and says when it is", () => {
  for (const { meaning, reasons } of Object.values(policyConditions)) {
    assert.match(meaning, /\.$/);
    for (const [reason, { when }] of Object.entries(reasons)) {
      assert.match(reason, /^([A-Z][a-z]+)+$/);
      assert.match(when, /\.$/);
    }
  }
});
