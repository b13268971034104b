import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Client } from "./client.ts";
import { Reflector, type ReflectorOptions } from "./reflector.ts";
import type { WatchEnd } from "./reflector-observer.ts";
import type { Resource } from "./resource.ts";
import { Mirror } from "./testing/mirror.ts";
import { randomFrom } from "./testing/random.ts";
import { until } from "./testing/until.ts";
import { type Thing, type WatchFault, WatchServer, watchFaults } from "./testing/watch-server.ts";

const resource: Resource = { apiVersion: "v1", kind: "Thing", plural: "things", namespaced: true };

type Options = Partial<ReflectorOptions<Thing, Thing, "value">>;

class Setup {
  readonly server = new WatchServer();
  readonly mirror = new Mirror<Thing>();
  readonly ends: WatchEnd[] = [];
  readonly failures: string[] = [];
  readonly stop = new AbortController();
  reflector!: Reflector<Thing, Thing, "value">;
  running!: Promise<void>;

  async start(context: TestContext, options: Options = {}, prepare?: (server: WatchServer) => void): Promise<this> {
    await this.server.start();
    prepare?.(this.server);
    const client = new Client({ config: this.server.config, userAgent: "test", timeout: 300 });
    this.reflector = new Reflector<Thing, Thing, "value">({
      client,
      resource,
      indexes: { value: ({ value }) => (value === undefined ? [] : [String(value)]) },
      backoff: { first: 1, most: 10 },
      inactivity: 200,
      observer: {
        watchEnded: (end) => this.ends.push(end),
        failed: (what, error) => this.failures.push(`${what}: ${(error as Error).message}`),
      },
      ...options,
    });
    this.reflector.subscribe(this.mirror);
    this.running = this.reflector.run(this.stop.signal);
    context.after(async () => {
      this.stop.abort();
      await this.running;
      client.close();
      await this.server.stop();
    });
    return this;
  }

  /** Until what the server has is here, and checks that it is right. */
  async settled(limit = 5000): Promise<void> {
    const { server, reflector, mirror } = this;
    await until(`version ${server.version}`, () => reflector.resourceVersion === String(server.version), limit);
    const expected = [...server.objects].map(([name, object]): [string, Thing] => [`test/${name}`, object]);
    mirror.check(expected);
    for (const [key, { value }] of expected) {
      assert.equal(reflector.store.get(key)?.value, value);
      if (value !== undefined) assert.ok(reflector.store.keysBy("value", String(value)).includes(key));
    }
    assert.equal(reflector.store.size, expected.length);
    const found = reflector.store.valuesOf("value").flatMap((value) => reflector.store.keysBy("value", value));
    assert.equal(found.length, expected.filter(([, { value }]) => value !== undefined).length);
  }

  watching(): Promise<void> {
    return until("a watch is open", () => this.server.watching === 1);
  }
}

test("lists in pages, then hears of each change once", async (context) => {
  const setup = await new Setup().start(
    context,
    { pageSize: 2, labelSelector: "a=b", fieldSelector: "c=d" },
    (server) => {
      for (const name of ["a", "b", "c", "d", "e"]) server.put(name, { value: 1 });
    },
  );
  const { server, reflector, mirror } = setup;
  await reflector.synced;
  assert.equal(server.lists.length, 3);
  assert.deepEqual(
    server.lists.map((query) => [query.get("limit"), query.get("labelSelector"), query.get("resourceVersion")]),
    Array(3).fill(["2", "a=b", null]),
  );
  assert.equal(reflector.store.get("test/a")?.kind, "Thing");
  await setup.watching();
  server.put("f");
  server.put("a", { value: 2 });
  server.delete("b");
  await setup.settled();
  assert.deepEqual(mirror.log.slice(5), ["add test/f 106", "update test/a 107", "delete test/b 108"]);
  const [query] = server.watches;
  assert.equal(query?.get("allowWatchBookmarks"), "true");
  assert.equal(query?.get("fieldSelector"), "c=d");
  const seconds = Number(query?.get("timeoutSeconds"));
  assert.ok(seconds >= 300 && seconds <= 600);
});

test("pages that expire while they are read are replaced by one list", async (context) => {
  const { server, reflector } = await new Setup().start(context, { pageSize: 2 }, (prepared) => {
    for (const name of ["a", "b", "c"]) prepared.put(name);
    prepared.listFaults.push("none", 410);
  });
  await reflector.synced;
  assert.equal(reflector.store.size, 3);
  assert.deepEqual(
    server.lists.map((query) => query.get("limit")),
    ["2", "2", null],
  );
});

const endOf: Record<WatchFault, WatchEnd> = {
  reset: "broken",
  midLine: "broken",
  halfLine: "broken",
  end: "ended",
  internal: "broken",
  mute: "silent",
  garbage: "malformed",
  noEvent: "malformed",
  gone: "expired",
};
for (const fault of watchFaults) {
  const end = endOf[fault];
  const resumed = end === "broken" || end === "ended" || end === "silent";
  test(`a watch that meets "${fault}" is ${resumed ? "resumed where it was" : "followed by a list"}`, async (context) => {
    const setup = await new Setup().start(context, {}, (server) => void server.put("stays"));
    const { server } = setup;
    await setup.watching();
    server.put("before");
    await setup.settled();
    server.disturb(fault);
    server.put("after");
    server.delete("before");
    await setup.settled();
    assert.equal(setup.ends[0], end);
    assert.equal(server.lists.length, resumed ? 1 : 2);
    if (resumed) assert.equal(server.watches.at(-1)?.get("resourceVersion"), "102");
  });
}

test("what was deleted, and made anew under the same name, during a gap is told", async (context) => {
  const setup = await new Setup().start(context, {}, (server) => {
    for (const name of ["gone", "anew", "changed", "same"]) server.put(name);
  });
  const { server, mirror } = setup;
  await setup.watching();
  await server.stop();
  server.delete("gone");
  server.delete("anew");
  server.put("anew");
  server.put("changed");
  server.forget();
  await server.start();
  await setup.settled();
  assert.deepEqual(
    mirror.log.slice(4),
    ["delete test/gone 101", "update test/changed 108", "delete test/anew 102", "add test/anew 107"].sort(
      (a, b) => mirror.log.indexOf(a) - mirror.log.indexOf(b),
    ),
  );
  assert.equal(mirror.missed, 2);
  assert.ok(setup.ends.includes("expired"));
});

test("a bookmark saves a list after history was forgotten", async (context) => {
  const setup = await new Setup().start(context, {}, (server) => void server.put("a"));
  const { server, reflector } = setup;
  await setup.watching();
  server.version += 10; // elsewhere much happened
  server.bookmark();
  await until("it came", () => reflector.resourceVersion === "111");
  server.forget();
  server.disturb("reset");
  await until("again", () => server.watches.length === 2);
  server.put("b");
  await setup.settled();
  assert.equal(server.lists.length, 1);
});

test("large objects in small pieces, and letters that are cut apart", async (context) => {
  const setup = await new Setup().start(context);
  await setup.watching();
  setup.server.cutInto(7);
  setup.server.put("small", { padding: "äöü€😀".repeat(20) });
  setup.server.cutInto(4096);
  setup.server.put("large", { padding: "é".repeat(1 << 20) });
  await setup.settled();
  assert.equal(setup.reflector.store.get("test/small")?.padding, "äöü€😀".repeat(20));
  assert.equal(setup.reflector.store.get("test/large")?.padding?.length, 1 << 20);
});

test("a server that is away or says no at the start is asked again, less and less often", async (context) => {
  const sleeps: number[] = [];
  const clock = {
    now: Date.now,
    monotonic: () => performance.now(),
    sleep: async (milliseconds: number) => void sleeps.push(milliseconds),
  };
  const options: Options = { clock, random: () => 0, backoff: { first: 100, most: 1000 } };
  const setup = await new Setup().start(context, options, (server) => {
    server.put("a");
    server.listFaults.push("reset", 500, 403, 404, 429, "reset");
  });
  await setup.reflector.synced;
  assert.deepEqual(sleeps, [50, 100, 200, 400, 500, 500]);
  assert.equal(setup.failures.length, 6);
});

test("a watch that is refused at once each time does not become a storm of lists", async (context) => {
  const setup = await new Setup().start(context, { backoff: { first: 20, most: 100_000 } }, (server) => {
    server.watchFaults.push(...Array<number>(100).fill(403));
  });
  await setup.reflector.synced;
  await pause(400);
  assert.ok(setup.server.lists.length <= 6, `${setup.server.lists.length} lists`);
});

test("a handler that throws holds nothing up, and the error is told", async (context) => {
  const setup = await new Setup().start(context);
  setup.reflector.subscribe({
    onAdd: () => {
      throw new Error("of the handler");
    },
  });
  await setup.watching();
  setup.server.put("a");
  await setup.settled();
  assert.deepEqual(setup.failures, ["handler: of the handler"]);
});

test("who subscribes late hears of what is there; who has left hears nothing", async (context) => {
  const setup = await new Setup().start(context, {}, (server) => void server.put("a"));
  await setup.watching();
  const late = new Mirror<Thing>();
  const leave = setup.reflector.subscribe(late);
  assert.deepEqual(late.log, ["add test/a 101"]);
  setup.server.put("b");
  await setup.settled();
  leave();
  setup.server.put("c");
  await setup.settled();
  assert.deepEqual(late.log, ["add test/a 101", "add test/b 102"]);
});

test("it stops while it lists, waits or watches, and then `synced` says no", async (context) => {
  const silent = await new Setup().start(context, {}, (server) => server.listFaults.push("silent"));
  await until("asked", () => silent.server.lists.length === 1);
  silent.stop.abort();
  await silent.running;
  await assert.rejects(silent.reflector.synced, /stopped before/);
  const waiting = await new Setup().start(context, { backoff: { first: 1e6 } }, (server) =>
    server.listFaults.push(500),
  );
  await until("failed", () => waiting.failures.length === 1);
  waiting.stop.abort();
  await waiting.running;
  const watching = await new Setup().start(context);
  await watching.watching();
  watching.stop.abort();
  await watching.running;
  await until("closed", () => watching.server.watching === 0);
  assert.deepEqual([watching.ends, watching.failures], [["stopped"], []]);
});

test("memory holds the projection alone", async (context) => {
  const server = await new WatchServer().start();
  for (let each = 0; each < 10; ++each) server.put(`n${each}`, { value: each, padding: "x".repeat(1000) });
  const client = new Client({ config: server.config, userAgent: "test" });
  const stop = new AbortController();
  const reflector = new Reflector<Thing, { value: number }>({
    client,
    resource,
    project: ({ value = 0 }) => ({ value }),
    observer: { failed: (_, error) => assert.fail(error as Error) },
  });
  const running = reflector.run(stop.signal);
  context.after(async () => {
    stop.abort();
    await running;
    client.close();
    await server.stop();
  });
  await reflector.synced;
  assert.deepEqual(reflector.store.get("test/n3"), { value: 3 });
});

const seeds = [...Array.from({ length: 12 }, (_, index) => index + 1), Date.now() % 1e9];
for (const seed of seeds) {
  test(`after any changes and faults the store is the server's state, and so is the sum of what was told: seed ${seed}`, async (context) => {
    const random = randomFrom(seed);
    const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
    const setup = await new Setup().start(context, { pageSize: 3, inactivity: 60, random });
    const { server } = setup;
    const restart = async (): Promise<void> => {
      await server.stop();
      await pause(random() * 20);
      server.put("meanwhile");
      await server.start();
    };
    const steps: [number, () => void | Promise<void>][] = [
      [40, () => void server.put(`n${Math.floor(random() * 12)}`, { value: Math.floor(random() * 4) })],
      [25, () => server.delete(`n${Math.floor(random() * 12)}`)],
      [8, () => server.disturb(pick(watchFaults))],
      [4, () => server.bookmark()],
      [4, () => server.forget()],
      [3, () => void server.listFaults.push(pick([500, 429, 410, "reset"] as const))],
      [3, () => void server.watchFaults.push(pick([500, 410, 403, "reset"] as const))],
      [1, restart],
      [2, () => server.cutInto(pick([0, 1, 50]))],
      [15, () => pause(random() * 15)],
    ];
    const acts = steps.flatMap(([weight, act]) => Array<typeof act>(weight).fill(act));
    for (let step = 0; step < 250; ++step) await pick(acts)();
    // At rest, with one more change so that there is something to hear.
    server.put("last");
    await setup.settled(10_000);
    assert.ok(!setup.failures.some((failure) => failure.startsWith("handler")));
  });
}
