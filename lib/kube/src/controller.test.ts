import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { Controller, type ControllerOptions, type OutcomeKind, type Reconcile, TerminalError } from "./controller.ts";
import { TestClock } from "./testing/clock.ts";
import { WorkQueue } from "./workqueue.ts";

interface Line {
  level: string;
  message: string;
  values: Record<string, unknown>;
}

function setUp(context: TestContext, reconcile: Reconcile, options: Partial<ControllerOptions> = {}) {
  const clock = new TestClock();
  const lines: Line[] = [];
  const outcomes: OutcomeKind[] = [];
  const log = (level: string) => (values: object, message: string) =>
    void lines.push({ level, message, values: values as Record<string, unknown> });
  let id = 0;
  const controller = new Controller({
    name: "policies",
    reconcile,
    log: { debug: log("debug"), warn: log("warn"), error: log("error") },
    queue: new WorkQueue({ clock, random: () => 1, backoff: { first: 100 } }),
    clock,
    newID: () => `id-${++id}`,
    reconciled: (outcome) => outcomes.push(outcome),
    ...options,
  });
  const stop = new AbortController();
  const running = controller.run(stop.signal);
  context.after(() => stop.abort());
  return { clock, lines, outcomes, controller, stop, running };
}

test("what reconcile returns or throws decides when the key comes again", async (context) => {
  const calls: [string, number][] = [];
  const answers: Record<string, (() => Promise<{ requeueAfter: number } | undefined>)[]> = {
    done: [async () => undefined],
    periodic: [async () => ({ requeueAfter: 5000 }), async () => undefined],
    failing: [() => Promise.reject(new Error("x")), () => Promise.reject(new Error("y")), async () => undefined],
    hopeless: [() => Promise.reject(new TerminalError("no such codec"))],
  };
  const { clock, lines, outcomes, controller } = setUp(context, async (key) => {
    calls.push([key, clock.monotonic()]);
    return answers[key]?.shift()?.();
  });
  const start = clock.monotonic();
  for (const key of Object.keys(answers)) controller.queue.add(key);
  await clock.advance(60_000);
  const times = (key: string): number[] => calls.filter(([called]) => called === key).map(([, at]) => at - start);
  assert.deepEqual(times("done"), [0]);
  assert.deepEqual(times("periodic"), [0, 5000]);
  assert.deepEqual(times("failing"), [0, 100, 300]);
  assert.deepEqual(times("hopeless"), [0]);
  assert.deepEqual(outcomes.slice(0, 4), ["done", "requeueAfter", "error", "terminal"]);
  assert.equal(controller.queue.failures("failing"), 0);
  const [failed] = lines.filter(({ level }) => level === "warn");
  assert.equal(failed?.message, "reconcile failed");
  const { err, ...values } = failed?.values ?? {};
  assert.equal((err as Error).message, "x");
  assert.deepEqual(values, { controller: "policies", key: "failing", reconcileID: "id-3", failures: 1 });
  assert.equal(lines.find(({ level }) => level === "error")?.message, "reconcile failed for good");
});

test("what happens during a call is worked on after it, at once", async (context) => {
  let calls = 0;
  const { clock, controller } = setUp(context, async () => {
    calls += 1;
    if (calls > 1) return undefined;
    controller.queue.add("a");
    await clock.sleep(100);
    return { requeueAfter: 10_000 };
  });
  controller.queue.add("a");
  await clock.advance(99);
  assert.equal(calls, 1);
  await clock.advance(1);
  assert.equal(calls, 2);
});

test("workers work side by side", async (context) => {
  let most = 0;
  let now = 0;
  const reconcile = async (): Promise<undefined> => {
    most = Math.max(most, ++now);
    await clock.sleep(100);
    now -= 1;
  };
  const { clock, controller } = setUp(context, reconcile, { workers: 4 });
  for (let each = 0; each < 10; ++each) controller.queue.add(`k${each}`);
  await clock.advance(250);
  assert.equal(most, 4);
  await clock.advance(100);
  assert.equal(now, 0);
});

test("at the end what runs is finished, what waits is left; what takes too long is told to end", async (context) => {
  const ended: string[] = [];
  const { clock, controller, stop, running } = setUp(
    context,
    async (key, { signal }) => {
      await clock.sleep(key === "short" ? 100 : 1e9, signal);
      ended.push(`${key} ${signal.aborted}`);
    },
    { workers: 2, grace: 1000 },
  );
  for (const key of ["short", "long", "never"]) controller.queue.add(key);
  await clock.advance(10);
  stop.abort();
  await clock.advance(500);
  assert.deepEqual(ended, ["short false"]);
  await clock.advance(600);
  await running;
  assert.deepEqual(ended, ["short false", "long true"]);
  assert.equal(clock.sleeping, 0);
});
