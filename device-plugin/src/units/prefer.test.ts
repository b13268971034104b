import assert from "node:assert/strict";
import test from "node:test";
import { unitsOf } from "../testing/fixtures.ts";
import { groups, preferUnits } from "./prefer.ts";

const available = [...unitsOf(0, 0, 10), ...unitsOf(1, 3, 4), ...unitsOf(2, 0, 6)].reverse();

test("the fullest GPU that has room gives its lowest units", () => {
  assert.deepEqual(preferUnits({ available, must: [], size: 3 }), unitsOf(1, 3, 3));
  assert.deepEqual(preferUnits({ available, must: [], size: 4 }), unitsOf(1, 3, 4));
  assert.deepEqual(preferUnits({ available, must: [], size: 5 }), unitsOf(2, 0, 5));
  assert.deepEqual(preferUnits({ available, must: [], size: 10 }), unitsOf(0, 0, 10));
  assert.deepEqual(preferUnits({ available, must: [], size: 0 }), []);
});

test("GPUs that are equally full are taken in order", () => {
  const equal = [...unitsOf(1, 0, 4), ...unitsOf(0, 0, 4)];
  assert.deepEqual(preferUnits({ available: equal, must: [], size: 2 }), unitsOf(0, 0, 2));
});

test("what must be among them decides the GPU", () => {
  assert.deepEqual(preferUnits({ available, must: ["0-7", "0-2"], size: 4 }), ["0-0", "0-1", "0-2", "0-7"]);
  assert.deepEqual(preferUnits({ available, must: ["1-3"], size: 1 }), ["1-3"]);
});

test("what no GPU has alone comes from as few as can be, first from where the rest must be", () => {
  const twelve = preferUnits({ available, must: [], size: 12 });
  assert.deepEqual(twelve, [...unitsOf(0, 0, 10), ...unitsOf(2, 0, 2)]);
  const bound = preferUnits({ available, must: ["1-3"], size: 6 });
  assert.deepEqual(bound, [...unitsOf(0, 0, 2), ...unitsOf(1, 3, 4)]);
  assert.equal(preferUnits({ available, must: [], size: 50 }).length, 20);
});

test("IDs are grouped by GPU in the order of their numbers; what is none of ours is left out", () => {
  assert.deepEqual(
    [...groups(["0-10", "0-9", "x", "1-0", "0-01"])],
    [
      [0, ["0-9", "0-10"]],
      [1, ["1-0"]],
    ],
  );
});
