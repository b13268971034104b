import assert from "node:assert/strict";
import test from "node:test";
import { MAX_EVENTS } from "./abi.ts";
import { decodeTelemetry } from "./file.ts";
import type { Snapshot } from "./reader.ts";
import { readRing } from "./ring.ts";
import { TelemetryBytes } from "./testing/telemetry-bytes.ts";

function snapshot(file: TelemetryBytes, later: Partial<Snapshot> = {}): Snapshot {
  const telemetry = decodeTelemetry(file.data);
  return {
    ...telemetry,
    inode: "1:1",
    fileSize: file.data.length,
    eventNextAfter: telemetry.header.event_next,
    ...later,
  };
}

const numbers = (events: readonly { number: number }[]): number[] => events.map(({ number }) => number);
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);

function filled(count: number): TelemetryBytes {
  const file = new TelemetryBytes();
  for (let number = 1; number <= count; ++number) file.event(number);
  return file;
}

test("every event once, over readings and over a position that was on disk", () => {
  const file = filled(3);
  const first = readRing(snapshot(file));
  assert.deepEqual(numbers(first.events), [1, 2, 3]);
  const position = JSON.parse(JSON.stringify(first.position)) as typeof first.position;
  assert.deepEqual(readRing(snapshot(file), position).events, []);
  file.event(4).event(5);
  const second = readRing(snapshot(file), position);
  assert.deepEqual(numbers(second.events), [4, 5]);
  assert.equal(second.lost, 0);
});

test("a ring that wrapped past the position says how many were lost", () => {
  const first = readRing(snapshot(filled(3)));
  const read = readRing(snapshot(filled(3 + MAX_EVENTS + 10)), first.position);
  assert.equal(read.lost, 10);
  assert.deepEqual(numbers(read.events), range(14, 3 + MAX_EVENTS + 10));
});

test("events that were overwritten while they were copied are lost, not mixtures", () => {
  const read = readRing(snapshot(filled(MAX_EVENTS), { eventNextAfter: MAX_EVENTS + 2 }));
  assert.equal(read.lost, 2);
  assert.deepEqual(numbers(read.events), range(3, MAX_EVENTS));
});

test("an event that is being written is waited for, and passed over once it is abandoned", () => {
  const file = filled(1);
  const number = file.begin();
  file.event(3);
  const waiting = readRing(snapshot(file));
  assert.deepEqual([numbers(waiting.events), waiting.unfinished], [[1], number]);
  assert.deepEqual(numbers(readRing(snapshot(file), waiting.position, number).events), [3]);
  assert.equal(readRing(snapshot(file), waiting.position, number).lost, 1);
  file.slot(number, { number, realtime_ns: 2e9 });
  assert.deepEqual(numbers(readRing(snapshot(file), waiting.position).events), [2, 3]);
});

test("a new file starts at its own first event: by inode, by count, or by what its event says", () => {
  const { position } = readRing(snapshot(filled(3)));
  const others: [string, Snapshot][] = [
    ["inode", snapshot(filled(4), { inode: "1:2" })],
    ["count", snapshot(filled(2))],
    ["event", snapshot(new TelemetryBytes().event(101).event(102).event(103).event(104))],
  ];
  for (const [what, other] of others) {
    const read = readRing(other, position);
    assert.equal(read.events[0]?.number, 1, what);
    assert.equal(read.position.epoch, position.epoch + 1, what);
    assert.equal(read.lost, 0, what);
  }
});

test("the position's own event, copied while it was overwritten, does not make the ring a new one", () => {
  const { position } = readRing(snapshot(filled(3)));
  const file = filled(MAX_EVENTS);
  file.slot(3, { realtime_ns: 99e9 });
  const read = readRing(snapshot(file, { eventNextAfter: MAX_EVENTS + 3 }), position);
  assert.equal(read.position.epoch, position.epoch);
  assert.deepEqual([read.lost, read.events[0]?.number], [0, 4]);
});

test("whatever the figures of a hostile file, a reading ends and holds at most the ring", () => {
  for (const event_next of [2 ** 53 - 1, 2 ** 60, 2 ** 64 - 2048]) {
    const file = filled(10).header({ event_next });
    const read = readRing(snapshot(file), undefined, 2 ** 53);
    assert.ok(read.events.length <= MAX_EVENTS);
  }
});

test("readers at random moments of many writers see each event once or count it", () => {
  let seed = 7;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return (seed >>> 8) % below;
  };
  for (let round = 0; round < 50; ++round) {
    const file = new TelemetryBytes();
    const writing: number[] = [];
    const seen: number[] = [];
    let lost = 0;
    let position: ReturnType<typeof readRing>["position"] | undefined;
    for (let step = 0; step < 600; ++step) {
      if (random(3) > 0) writing.push(file.begin());
      if (random(3) > 0 && writing.length > 0) {
        const [number = 0] = writing.splice(random(writing.length), 1);
        file.slot(number, { number, realtime_ns: number * 1e9 });
      }
      if (random(40) === 0) {
        const read = readRing(snapshot(file), position);
        seen.push(...numbers(read.events));
        lost += read.lost;
        position = read.position;
      }
    }
    assert.deepEqual(
      seen,
      [...new Set(seen)].sort((a, b) => a - b),
    );
    assert.equal(seen.length + lost, position?.number ?? 0);
  }
});
