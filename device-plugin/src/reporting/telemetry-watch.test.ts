import assert from "node:assert/strict";
import { readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "node:test";
import { TelemetryBytes } from "@loretoken/telemetry/testing";
import type { TelemetryWatch } from "./telemetry-watch.ts";
import { Node, owner, Recorded } from "./testing/node.ts";

const hot = { guard: 2, from_mode: 0, to_mode: 1, figure: 91_000, limit: 87_000 };

test("a guardrail event is the pod's, once, with reason, figures, time and a mark", (context) => {
  const node = new Node(context);
  const holding = node.hold("a");
  const recorder = new Recorded();
  const watch = node.watch(recorder);
  node.place(holding, new TelemetryBytes().event(1_700_000_000, { ...hot, text: "too hot" }));
  watch.poll();
  watch.poll();
  assert.equal(recorder.inputs.length, 1);
  assert.deepEqual(recorder.inputs[0], {
    regarding: {
      apiVersion: "v1",
      kind: "Pod",
      namespace: "team",
      name: "train-0",
      uid: "u-1",
      fieldPath: "spec.containers{main}",
    },
    type: "Warning",
    reason: "ThermalBackoff",
    message: `GPU ${holding.gpuUuid}; too hot; 91.0 °C, limit 87.0 °C; mode full to hold`,
    series: `main/${holding.gpuUuid}`,
    time: 1_700_000_000_000,
    mark: { source: "a", epoch: 1, number: 1 },
  });
});

test("events wait in the ring until the container's owner is known", (context) => {
  const node = new Node(context);
  const holding = node.hold("a", {});
  const recorder = new Recorded();
  const watch = node.watch(recorder);
  node.place(holding, new TelemetryBytes().event(1, hot));
  for (let second = 0; second < 10; ++second) {
    watch.poll();
    node.now += 1000;
  }
  node.hold("a", { owner: { ...owner, podUid: "" } });
  watch.poll();
  assert.equal(recorder.inputs.length, 0);
  node.hold("a");
  watch.poll();
  assert.equal(recorder.inputs.length, 1);
});

test("what was delivered is not read again after a restart; what was not, is", (context) => {
  const node = new Node(context);
  const holding = node.hold("a");
  const file = new TelemetryBytes().event(1, hot).event(2, hot).event(3, hot);
  node.place(holding, file);
  const first = new Recorded();
  const before = node.watch(first);
  before.poll();
  first.settle(2);
  before.poll();
  node.place(holding, file.event(4, hot));
  const second = new Recorded();
  const after = node.watch(second);
  after.poll();
  assert.deepEqual(first.numbers, [1, 2, 3]);
  assert.deepEqual(second.numbers, [3, 4]);
  assert.deepEqual(second.inputs[0]?.mark, first.inputs[2]?.mark);
});

test("while the recorder has no room events stay in the ring", (context) => {
  const node = new Node(context);
  const holding = node.hold("a");
  node.place(holding, new TelemetryBytes().event(1, hot).event(2, hot).event(3, hot));
  const recorder = new Recorded();
  recorder.room = 2;
  const watch = node.watch(recorder);
  watch.poll();
  recorder.settle();
  watch.poll();
  recorder.room = 9;
  watch.poll();
  recorder.settle();
  watch.poll();
  assert.deepEqual(recorder.numbers, [1, 2, 3]);
  const again = new Recorded();
  node.watch(again).poll();
  assert.deepEqual(again.inputs, []);
});

test("a ring that wrapped is an event of its own that says how many are lost, once", (context) => {
  const node = new Node(context);
  const holding = node.hold("a");
  const recorder = new Recorded();
  const watch = node.watch(recorder);
  const file = new TelemetryBytes().event(1, hot);
  node.place(holding, file);
  watch.poll();
  for (let second = 2; second <= 200; ++second) file.event(second, hot);
  node.place(holding, file);
  watch.poll();
  watch.poll();
  const lost = recorder.inputs.filter(({ reason }) => reason === "GuardrailEventsLost");
  assert.equal(lost.length, 1);
  assert.match(lost[0]?.message ?? "", /^71 guardrail events of container main/);
  assert.equal(recorder.inputs.length, 1 + 1 + 128);
  assert.equal(watch.eventsLost, 71);
});

test("a container restarted in place starts at its own first event, with marks that were not there before", (context) => {
  const node = new Node(context);
  const holding = node.hold("a");
  node.place(holding, new TelemetryBytes().event(1, hot).event(2, hot));
  const first = new Recorded();
  const watch = node.watch(first);
  watch.poll();
  first.settle();
  node.place(holding, new TelemetryBytes().event(11, hot).event(12, hot).event(13, hot), true);
  watch.poll();
  assert.deepEqual(
    first.inputs.map(({ mark }) => [mark?.epoch, mark?.number]),
    [
      [1, 1],
      [1, 2],
      [2, 1],
      [2, 2],
      [2, 3],
    ],
  );
});

test("marks stay the same over a restart, also after containers restarted in place twice", (context) => {
  const node = new Node(context);
  const holding = node.hold("a");
  node.place(holding, new TelemetryBytes().event(1, hot));
  const first = new Recorded();
  const watch = node.watch(first);
  watch.poll();
  first.settle();
  watch.poll();
  node.now += 10_000;
  node.place(holding, new TelemetryBytes(), true);
  watch.poll();
  node.place(holding, new TelemetryBytes().event(11, hot), true);
  watch.poll();
  const second = new Recorded();
  node.watch(second).poll();
  assert.deepEqual(second.inputs[0]?.mark, { source: "a", epoch: 3, number: 1 });
  assert.deepEqual(second.inputs[0]?.mark, first.inputs[1]?.mark);
});

test("the same file with a new ring in it, further on than the old one was, is read from its first event", (context) => {
  const node = new Node(context);
  const holding = node.hold("a");
  node.place(holding, new TelemetryBytes().event(1, hot).event(2, hot).event(3, hot));
  const recorder = new Recorded();
  const watch = node.watch(recorder);
  watch.poll();
  const anew = new TelemetryBytes();
  for (let second = 101; second <= 106; ++second) anew.event(second, hot);
  node.place(holding, anew);
  watch.poll();
  assert.deepEqual(recorder.numbers.slice(3), [1, 2, 3, 4, 5, 6]);
});

test("an event whose writer died holds up later ones for seconds, not for ever", (context) => {
  const node = new Node(context);
  const holding = node.hold("a");
  const file = new TelemetryBytes();
  file.begin();
  node.place(holding, file.event(2, hot));
  const recorder = new Recorded();
  const watch = node.watch(recorder);
  watch.poll();
  assert.deepEqual(recorder.inputs, []);
  node.now += 6000;
  watch.poll();
  assert.deepEqual(
    recorder.inputs.map(({ reason }) => reason),
    ["GuardrailEventsLost", "ThermalBackoff"],
  );
});

test("the last words of a container are read when its file is about to go", (context) => {
  const node = new Node(context);
  const holding = node.hold("a");
  const recorder = new Recorded();
  const watch = node.watch(recorder);
  const file = new TelemetryBytes();
  node.place(holding, file);
  watch.poll();
  node.place(holding, file.event(1, { guard: 5, figure: 2 ** 30, limit: 2 ** 29 }));
  watch.readNow("a");
  assert.equal(recorder.inputs[0]?.reason, "MemoryPromiseExceeded");
  assert.match(recorder.inputs[0]?.message ?? "", /1024 MiB, limit 512 MiB/);
});

test("counters never step back: not when a process ends, a file is renewed, or the agent restarts", (context) => {
  const node = new Node(context);
  const holding = node.hold("a");
  const file = new TelemetryBytes().process(0, { pid: 1 }).row(0, { pid: 1, packs: 30 });
  node.place(holding, file);
  const watch = node.watch(new Recorded());
  const packs = (of: TelemetryWatch): number | undefined => {
    node.now += 10_000;
    of.poll();
    return of.containers[0]?.counters.packs;
  };
  assert.equal(packs(watch), 30);
  node.place(holding, file.wipe(0).row(0, { pid: 2, packs: 1 }));
  assert.equal(packs(watch), 31);
  node.place(holding, new TelemetryBytes(), true);
  assert.equal(packs(watch), 31);
  assert.equal(packs(node.watch(new Recorded())), 31);
  rmSync(holding.telemetry);
  assert.equal(packs(watch), 31);
});

test("figures are of live processes, and gone with the file or the allocation", (context) => {
  const node = new Node(context);
  const holding = node.hold("a");
  node.place(holding, new TelemetryBytes().process(0, { pid: 1 }).row(0, { pid: 1, raw_bytes: 7 }));
  const watch = node.watch(new Recorded());
  watch.refresh(0);
  assert.equal(watch.containers[0]?.usage.raw_bytes, 7);
  const dead = node.watch(new Recorded(), { alive: () => false });
  dead.refresh(0);
  assert.equal(dead.containers[0]?.usage.raw_bytes, 0);
  rmSync(holding.telemetry);
  watch.poll();
  assert.equal(watch.containers[0]?.usage.raw_bytes, 0);
  node.holdings = [];
  assert.deepEqual(watch.containers, []);
});

test("damaged files are told once each, and do not disturb the others", (context) => {
  const node = new Node(context);
  const [bad, good] = [node.hold("bad"), node.hold("good")];
  writeFileSync(bad.telemetry, "x".repeat(500));
  node.place(good, new TelemetryBytes().event(1, hot));
  const recorder = new Recorded();
  const watch = node.watch(recorder);
  for (let second = 0; second < 3; ++second) watch.poll();
  assert.equal(recorder.inputs.length, 1);
  assert.deepEqual(node.log.messages, ["telemetry not readable"]);
  assert.equal(watch.containers[0]?.fault?.kind, "foreign");
  truncateSync(bad.telemetry, 0);
  watch.poll();
  assert.equal(watch.containers[0]?.fault, undefined);
});

test("a state on disk that cannot be understood is as none", (context) => {
  const node = new Node(context);
  const holding = node.hold("a");
  node.place(holding, new TelemetryBytes().event(1, hot));
  writeFileSync(join(dirname(holding.telemetry), "reported.json"), '{"ring":{"epoch":"x"}}');
  const recorder = new Recorded();
  node.watch(recorder).poll();
  assert.deepEqual(recorder.numbers, [1]);
});

test("an allocation that was removed meanwhile is not brought back by its state", (context) => {
  const node = new Node(context);
  const holding = node.hold("a");
  node.place(holding, new TelemetryBytes().event(1, hot));
  const recorder = new Recorded();
  const watch = node.watch(recorder);
  watch.poll();
  rmSync(dirname(holding.telemetry), { recursive: true });
  recorder.settle();
  watch.poll();
  watch.save();
  assert.throws(() => readFileSync(join(dirname(holding.telemetry), "reported.json")), /ENOENT/);
  assert.deepEqual(node.log.messages, []);
});
