import assert from "node:assert/strict";
import test from "node:test";
import { type Level, Rail, type Strain } from "./rail.ts";

const settings = { escalate: 10, release: 30, mostRelease: 100 };

/** Looks once per millisecond. @returns the last level */
function through(rail: Rail, strain: Strain, from: number, to: number): Level {
  let level: Level = 0;
  for (let now = from; now <= to; ++now) level = rail.look(strain, now);
  return level;
}

test("a broken limit is answered at once, and more strongly while it stays broken", () => {
  const rail = new Rail(settings);
  assert.equal(rail.look("calm", 0), 0);
  assert.equal(rail.look("broken", 1), 1);
  assert.equal(through(rail, "broken", 2, 10), 1);
  assert.equal(rail.look("broken", 11), 2);
  assert.equal(through(rail, "broken", 12, 20), 2);
  assert.equal(rail.look("broken", 21), 3);
  assert.equal(through(rail, "broken", 22, 500), 3);
});

test("calm leads back a step at a time", () => {
  const rail = new Rail(settings);
  through(rail, "broken", 0, 20);
  assert.equal(through(rail, "calm", 21, 50), 3);
  assert.equal(rail.look("calm", 51), 2);
  assert.equal(through(rail, "calm", 52, 80), 2);
  assert.equal(rail.look("calm", 81), 1);
  assert.equal(rail.look("calm", 111), 0);
});

test("just under the limit nothing moves, neither up nor down", () => {
  const rail = new Rail(settings);
  rail.look("broken", 0);
  assert.equal(through(rail, "between", 1, 500), 1);
  assert.equal(rail.look("broken", 501), 1, "broken anew: its time starts anew");
  assert.equal(through(rail, "between", 502, 505), 1);
  assert.equal(rail.look("calm", 506), 1);
  assert.equal(rail.look("between", 530), 1);
  assert.equal(rail.look("calm", 540), 1, "calm must last without a break");
  assert.equal(rail.look("calm", 570), 0);
});

test("each relapse makes the way back longer, up to a limit; long calm forgets", () => {
  const rail = new Rail(settings);
  let now = 0;
  const pauses: number[] = [];
  for (let round = 0; round < 4; ++round) {
    rail.look("broken", now);
    const began = now + 1;
    now = began;
    while (rail.look("calm", now) > 0) ++now;
    pauses.push(now - began);
    now += 5;
  }
  assert.deepEqual(pauses, [30, 60, 100, 100]);
  through(rail, "calm", now, now + 400);
  now += 401;
  rail.look("broken", now);
  assert.equal(through(rail, "calm", now + 1, now + 31), 0);
});

test("a load at the edge cannot swing faster than the pauses", () => {
  const rail = new Rail(settings);
  let changes = 0;
  let last: Level = 0;
  for (let now = 0; now < 10_000; ++now) {
    const level = rail.look(now % 40 < 1 ? "broken" : "calm", now);
    if (level !== last) ++changes;
    last = level;
  }
  assert.ok(changes < 20, `${changes} changes`);
});
