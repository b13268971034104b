import assert from "node:assert/strict";
import test from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { every } from "@loretoken/service";
import { recordingLog } from "./testing/log.ts";
import { until } from "./testing/node.ts";

const never = 1_000_000;

test("work is done again and again, also after it threw, and not after the end", async () => {
  const log = recordingLog();
  let times = 0;
  const loop = every(5, "it", log, () => {
    times += 1;
    if (times === 2) throw new Error("once");
  });
  await until("it went on", () => times >= 4);
  await loop.stop();
  const after = times;
  await sleep(30);
  assert.equal(times, after);
  assert.deepEqual(log.messages, ["loop failed"]);
});

test("the next time comes sooner if that is asked for, and asking often costs one time", async () => {
  let times = 0;
  const loop = every(never, "it", recordingLog(), () => {
    times += 1;
  });
  for (let asked = 0; asked < 10; ++asked) loop.soon(20);
  loop.soon(never * 2);
  await until("it ran", () => times === 1);
  await sleep(60);
  assert.equal(times, 1);
  await loop.stop();
});

test("what is asked for while the work runs is done behind it, never beside it", async () => {
  const running = Promise.withResolvers<void>();
  let [times, beside] = [0, 0];
  const loop = every(never, "it", recordingLog(), async () => {
    times += 1;
    beside += 1;
    assert.equal(beside, 1);
    if (times === 1) await running.promise;
    beside -= 1;
  });
  loop.soon(0);
  await until("it runs", () => times === 1);
  loop.soon(0);
  await sleep(20);
  assert.equal(times, 1);
  running.resolve();
  await until("it ran again", () => times === 2);
  const ending = loop.stop();
  loop.soon(0);
  await ending;
  assert.equal(times, 2);
});
