import assert from "node:assert/strict";
import test from "node:test";
import { CounterSum } from "./counters.ts";
import { decodeTelemetry } from "./file.ts";
import { TelemetryBytes } from "./testing/telemetry-bytes.ts";

const rows = (file: TelemetryBytes) => decodeTelemetry(file.data).rows;

test("counters of several processes add up, tables by entry", () => {
  const file = new TelemetryBytes()
    .row(0, { pid: 1, start_time: 10, packs: 3, guard_events: [0, 1] })
    .row(1, { pid: 2, start_time: 20, packs: 4, guard_events: [0, 2, 5] });
  const sum = new CounterSum();
  sum.update(rows(file));
  assert.equal(sum.totals.packs, 7);
  assert.deepEqual(sum.totals.guard_events.slice(0, 4), [0, 3, 5, 0]);
});

test("totals keep what ended processes counted when their rows are reused", () => {
  const file = new TelemetryBytes().row(0, { pid: 1, start_time: 10, packs: 30 });
  const sum = new CounterSum();
  assert.equal(sum.update(rows(file)), true);
  assert.equal(sum.update(rows(file)), false);
  file.wipe(0).row(0, { pid: 1, start_time: 99, packs: 2 });
  assert.equal(sum.update(rows(file)), true);
  assert.equal(sum.totals.packs, 32);
  file.wipe(0);
  sum.update(rows(file));
  assert.equal(sum.totals.packs, 32);
});

test("a figure that steps back within a row, or is out of all bounds, is not believed", () => {
  const file = new TelemetryBytes().row(0, { pid: 1, packs: 30, wait_ns: 2 ** 64 - 4096 });
  const sum = new CounterSum();
  sum.update(rows(file));
  sum.update(rows(file.row(0, { packs: 5 })));
  assert.equal(sum.totals.packs, 30);
  assert.equal(sum.totals.wait_ns, 0);
});

test("the state goes to disk and back, and so do rows that vanished meanwhile", () => {
  const file = new TelemetryBytes().row(0, { pid: 1, packs: 30 }).row(1, { pid: 2, packs: 5, codec_in: [1, 2] });
  const sum = new CounterSum();
  sum.update(rows(file));
  const again = new CounterSum(JSON.parse(JSON.stringify(sum.state)));
  assert.deepEqual(again.totals, sum.totals);
  again.update(rows(file.wipe(0).row(1, { packs: 6 })));
  assert.equal(again.totals.packs, 36);
  assert.equal(again.totals.codec_in[1], 2);
});

test("a state of another version misses and has fields: what is missing is 0", () => {
  const state = JSON.parse('{"ended":{"packs":4,"new_one":9},"rows":{"1/2/0":{"codec_in":[1]}}}');
  const sum = new CounterSum(state);
  assert.equal(sum.totals.packs, 4);
  assert.equal(sum.totals.codec_in[0], 1);
  assert.equal(sum.totals.unpacks, 0);
});

test("whatever processes come, go and count, no total ever steps back", () => {
  let seed = 3;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return (seed >>> 8) % below;
  };
  const file = new TelemetryBytes();
  let sum = new CounterSum();
  let start = 0;
  let before = sum.totals;
  for (let step = 0; step < 400; ++step) {
    const index = random(6);
    if (random(3) === 0) file.wipe(index).row(index, { pid: random(4) + 1, start_time: ++start, packs: random(50) });
    else if (rows(file).length > 0) file.row(index, { packs: (rows(file)[index]?.packs ?? 0) + random(9) });
    sum.update(rows(file));
    assert.ok(sum.totals.packs >= before.packs);
    before = sum.totals;
    if (random(30) === 0) sum = new CounterSum(JSON.parse(JSON.stringify(sum.state)));
  }
});
