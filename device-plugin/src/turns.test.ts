import assert from "node:assert/strict";
import test from "node:test";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { Turns } from "./turns.ts";

/** A round of many steps, which tells how far it is. */
function round(turns: Turns, steps: number): { done: number; over: Promise<void> } {
  const state = { done: 0, over: Promise.resolve() };
  const run = async (): Promise<void> => {
    for (; state.done < steps; ++state.done) await turns.give();
  };
  state.over = run();
  return state;
}

test("a call that runs goes before the steps of a round, which go on when it is over", async () => {
  const turns = new Turns();
  const state = round(turns, 1000);
  await nextTurn();
  let before = 0;
  const answer = await turns.call(async () => {
    before = state.done;
    for (let turn = 0; turn < 50; ++turn) await nextTurn();
    return state.done - before;
  });
  assert.ok(answer <= 1, `${answer} steps were done meanwhile`);
  await state.over;
  assert.equal(state.done, 1000);
});

test("a call that fails is over too; one that hangs holds up a step for milliseconds", async () => {
  const turns = new Turns();
  await assert.rejects(
    turns.call(() => Promise.reject(new Error("refused"))),
    /refused/,
  );
  await round(turns, 100).over;
  void turns.call(() => new Promise(() => undefined));
  const state = round(turns, 3);
  await sleep(1000);
  assert.equal(state.done, 3);
});
