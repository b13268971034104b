import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Client } from "./client.ts";
import { type CoreEvent, type EventInput, eventName } from "./event-objects.ts";
import { EventRecorder, type RecorderOptions } from "./event-recorder.ts";
import { TestApiServer } from "./testing/api-server.ts";
import { until } from "./testing/until.ts";

const regarding = { apiVersion: "v1", kind: "Pod", namespace: "team", name: "train-0", uid: "u-1" };
const heat: EventInput = { regarding, type: "Warning", reason: "ThermalBackoff", message: "91 °C, limit 87 °C" };

interface Setup {
  server: TestApiServer;
  client: Client;
  start(options?: Partial<RecorderOptions>): { recorder: EventRecorder; stop(): Promise<void> };
  event(input?: EventInput): CoreEvent | undefined;
}

async function setUp(context: TestContext): Promise<Setup> {
  const server = await new TestApiServer().start();
  const client = new Client({ config: server.config, userAgent: "test", timeout: 300 });
  const stops: (() => Promise<void>)[] = [];
  context.after(async () => {
    for (const stop of stops) await stop();
    client.close();
    await server.stop();
  });
  return {
    server,
    client,
    start(options = {}) {
      const controller = new AbortController();
      const recorder = new EventRecorder({
        client,
        reporter: { component: "loretoken", instance: "node-1" },
        pace: { repeat: 0, burst: 1000 },
        ...options,
      });
      const running = recorder.run(controller.signal);
      const stop = (): Promise<void> => {
        controller.abort();
        return running;
      };
      stops.push(stop);
      return { recorder, stop };
    },
    event: (input = heat) =>
      server.objects.get(`/api/v1/namespaces/${input.regarding.namespace ?? "default"}/events/${eventName(input)}`) as
        | CoreEvent
        | undefined,
  };
}

const mark = (number: number, epoch = 1): { mark: { source: string; epoch: number; number: number } } => ({
  mark: { source: "a-1", epoch, number },
});

test("an event lands in the namespace of its object with who, what and when", async (context) => {
  const { start, event } = await setUp(context);
  const { recorder } = start();
  assert.ok(recorder.record({ ...heat, time: Date.parse("2026-01-01T10:00:00.5Z") }));
  await until("delivered", () => recorder.figures.delivered === 1);
  const { metadata, ...rest } = event() ?? {};
  assert.equal(metadata?.namespace, "team");
  assert.deepEqual(rest, {
    apiVersion: "v1",
    kind: "Event",
    involvedObject: regarding,
    reason: "ThermalBackoff",
    message: "91 °C, limit 87 °C",
    type: "Warning",
    count: 1,
    firstTimestamp: "2026-01-01T10:00:00Z",
    lastTimestamp: "2026-01-01T10:00:00Z",
    source: { component: "loretoken", host: "node-1" },
    reportingComponent: "loretoken",
    reportingInstance: "node-1",
  });
});

test("equal events are counted in one object that has the latest figures; others get their own", async (context) => {
  const { server, start, event } = await setUp(context);
  const { recorder } = start();
  for (const degrees of [91, 92, 93]) {
    recorder.record({ ...heat, message: `${degrees} °C` });
    await until("delivered", () => recorder.figures.waiting === 0);
  }
  recorder.record({ ...heat, series: "GPU-2" });
  recorder.record({ ...heat, regarding: { ...regarding, uid: "u-2" } });
  await until("delivered", () => recorder.figures.waiting === 0);
  assert.equal(server.objects.size, 3);
  assert.equal(event()?.count, 3);
  assert.equal(event()?.message, "93 °C");
});

test("events of cluster-scoped objects lie in default", async (context) => {
  const { start, event } = await setUp(context);
  const { recorder } = start();
  const node: EventInput = { ...heat, regarding: { apiVersion: "v1", kind: "Node", name: "node-1", uid: "node-1" } };
  recorder.record(node);
  await until("delivered", () => event(node) !== undefined);
});

test("while the server is away events wait; then they come in order, each counted", async (context) => {
  const { server, start } = await setUp(context);
  await server.stop();
  const { recorder } = start({ random: () => 0 });
  for (const reason of ["First", "Second", "Second", "Third"]) recorder.record({ ...heat, reason });
  await until("tried", () => recorder.figures.retries > 1);
  assert.equal(recorder.figures.waiting, 4);
  await server.start();
  await until("delivered", () => recorder.figures.waiting === 0);
  const written = [...server.objects.values()] as CoreEvent[];
  assert.deepEqual(
    written.map(({ reason, count }) => [reason, count]),
    [
      ["First", 1],
      ["Second", 2],
      ["Third", 1],
    ],
  );
});

test("a write whose answer was lost is not repeated, neither the first nor a later one", async (context) => {
  const { server, start, event } = await setUp(context);
  const { recorder } = start({ random: () => 0.5 });
  server.faults.push("lost");
  recorder.record(heat);
  await until("delivered", () => recorder.figures.waiting === 0);
  assert.equal(event()?.count, 1);
});

test("each fault of the server in turn, and every event is counted once", { timeout: 60_000 }, async (context) => {
  const { server, start, event } = await setUp(context);
  const { recorder } = start({ pace: { repeat: 0, burst: 1000, refill: 1 } });
  const faults = [
    "lost",
    "reset",
    "cut",
    "silent",
    { code: 500 },
    { code: 503 },
    { code: 429 },
    { code: 401 },
  ] as const;
  let count = 0;
  for (const fault of faults) {
    server.faults.push(fault);
    recorder.record({ ...heat, ...mark(++count) });
    await until(`delivered after ${JSON.stringify(fault)}`, () => recorder.figures.waiting === 0);
    assert.equal(event()?.count, count, JSON.stringify(fault));
  }
});

test("marks that were counted before a restart are not counted again, new ones are", async (context) => {
  const { start, event } = await setUp(context);
  const first = start();
  for (const number of [1, 2, 3]) first.recorder.record({ ...heat, ...mark(number) });
  await until("delivered", () => first.recorder.figures.waiting === 0);
  await first.stop();
  const second = start();
  const outcomes: string[] = [];
  for (const number of [2, 3, 4])
    second.recorder.record({ ...heat, ...mark(number) }, (outcome) => outcomes.push(outcome));
  second.recorder.record({ ...heat, ...mark(1, 2) });
  await until("delivered", () => second.recorder.figures.waiting === 0);
  assert.equal(event()?.count, 5);
  assert.deepEqual(outcomes, ["delivered", "delivered", "delivered"]);
});

test("an event that expired meanwhile begins anew, one that someone changed is read again", async (context) => {
  const { server, start, event } = await setUp(context);
  const { recorder } = start();
  recorder.record(heat);
  await until("delivered", () => recorder.figures.waiting === 0);
  const [[path = "", stored = {}] = []] = server.objects;
  server.objects.set(path, {
    ...stored,
    count: 41,
    metadata: { ...stored.metadata, resourceVersion: "x" },
  } as CoreEvent);
  recorder.record(heat);
  await until("delivered", () => recorder.figures.waiting === 0);
  assert.equal(event()?.count, 42);
  server.objects.clear();
  recorder.record(heat);
  await until("delivered", () => recorder.figures.waiting === 0);
  assert.equal(event()?.count, 1);
});

test("what the server will never take is refused and said, and holds nothing up", async (context) => {
  const { server, start } = await setUp(context);
  const warnings: string[] = [];
  const { recorder } = start({ log: { warn: (_, message) => warnings.push(message) } });
  const outcomes: string[] = [];
  server.faults.push({ code: 403, reason: "Forbidden" });
  recorder.record(heat, (outcome) => outcomes.push(outcome));
  recorder.record({ ...heat, reason: "Other" }, (outcome) => outcomes.push(outcome));
  await until("settled", () => outcomes.length === 2);
  assert.deepEqual(outcomes, ["refused", "delivered"]);
  assert.deepEqual(warnings, ["event refused by the API server"]);
});

test("one that the server stumbles over each time lets others go first", async (context) => {
  const { server, start, event } = await setUp(context);
  server.answer = ({ body }) =>
    (body as CoreEvent).reason === heat.reason ? { code: 500, body: { reason: "InternalError" } } : undefined;
  const { recorder } = start({ random: () => 0 });
  recorder.record(heat);
  const other = { ...heat, reason: "Other" };
  recorder.record(other);
  await until("delivered", () => recorder.figures.delivered === 1);
  assert.ok(event(other));
  assert.equal(recorder.figures.waiting, 1);
});

test("a full queue keeps what it has, says no to the rest, and still counts what it has", async (context) => {
  const { server, start } = await setUp(context);
  await server.stop();
  const { recorder } = start({ mostSeries: 2 });
  assert.ok(recorder.record({ ...heat, reason: "First" }));
  assert.ok(recorder.record({ ...heat, reason: "Second" }));
  assert.equal(recorder.record({ ...heat, reason: "Third" }), false);
  assert.ok(recorder.record({ ...heat, reason: "Second" }));
  assert.equal(recorder.figures.rejected, 1);
  assert.equal(recorder.figures.waiting, 3);
});

test("a storm of equal events is a few writes with the whole count", async (context) => {
  const { server, start, event } = await setUp(context);
  const { recorder } = start({ pace: { repeat: 300, burst: 1000, refill: 1 } });
  for (let round = 0; round < 400; ++round) {
    recorder.record(heat);
    if (round % 10 === 0) await pause(2);
  }
  await until("delivered", () => recorder.figures.waiting === 0);
  assert.equal(event()?.count, 400);
  assert.ok(server.seen.length <= 4, `${server.seen.length} requests`);
});

test("one object's storm of different events does not hold up another object", async (context) => {
  const { start, event } = await setUp(context);
  const { recorder } = start({ pace: { repeat: 0, burst: 3, refill: 60_000 } });
  for (let round = 0; round < 10; ++round) recorder.record({ ...heat, reason: `Reason${round}` });
  const other = { ...heat, regarding: { ...regarding, name: "other", uid: "u-9" } };
  recorder.record(other);
  await until("delivered", () => recorder.figures.delivered === 4);
  assert.ok(event(other));
});

test("flush delivers what waits for its pace, and ends when there is no answer", async (context) => {
  const { server, start, event } = await setUp(context);
  const { recorder, stop } = start({ pace: { repeat: 60_000 } });
  recorder.record(heat);
  await until("delivered", () => recorder.figures.waiting === 0);
  recorder.record(heat);
  await stop();
  await recorder.flush(AbortSignal.timeout(2000));
  assert.equal(event()?.count, 2);
  await server.stop();
  recorder.record(heat);
  await recorder.flush(AbortSignal.timeout(2000));
  assert.equal(recorder.figures.waiting, 1);
});

test("messages are cleaned of control characters and cut to what the server takes", async (context) => {
  const { start, event } = await setUp(context);
  const { recorder } = start();
  recorder.record({ ...heat, message: `\u001b[31mred\u202e\n${"x".repeat(2000)}` });
  await until("delivered", () => event() !== undefined);
  assert.match(event()?.message ?? "", /^\[31mred x+…$/);
  assert.ok((event()?.message.length ?? 0) <= 1024);
});

test("a name as long as Kubernetes allows leaves room for the event's own", () => {
  const name = eventName({ ...heat, regarding: { ...regarding, name: `${"a".repeat(235)}.${"b".repeat(17)}` } });
  assert.ok(name.length <= 253);
  assert.match(name, /^a+\.[0-9a-f]{16}$/);
});
