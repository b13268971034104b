import assert from "node:assert/strict";
import test from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { TestClock } from "./testing/clock.ts";
import { randomFrom } from "./testing/random.ts";
import { TokenBucket } from "./token-bucket.ts";
import { WorkQueue } from "./workqueue.ts";

function setUp(options: { bucket?: { rate: number; burst: number } } = {}): { clock: TestClock; queue: WorkQueue } {
  const clock = new TestClock();
  return { clock, queue: new WorkQueue({ clock, random: () => 1, backoff: { first: 100, most: 1000 }, ...options }) };
}

test("a key is there once, and keys come in the order in which they were added", async () => {
  const { queue } = setUp();
  for (const key of ["a", "b", "a", "c", "b"]) queue.add(key);
  assert.deepEqual([await queue.get(), await queue.get(), await queue.get()], ["a", "b", "c"]);
  assert.deepEqual(queue.figures, { waiting: 0, delayed: 0, processing: 3, adds: 3, retries: 0 });
});

test("a key that is worked on is given to nobody else, and comes again once if it was added meanwhile", async () => {
  const { queue } = setUp();
  queue.add("a");
  assert.equal(await queue.get(), "a");
  let next: string | undefined;
  void queue.get().then((key) => {
    next = key;
  });
  queue.add("a");
  queue.add("a");
  await turn();
  assert.equal(next, undefined);
  queue.done("a");
  await turn();
  assert.equal(next, "a");
  queue.done("a");
  assert.equal(queue.figures.waiting, 0);
});

test("a delayed key comes at the earliest time that was asked for, once", async () => {
  const { clock, queue } = setUp();
  queue.addAfter("a", 1000);
  queue.addAfter("a", 300);
  queue.addAfter("a", 2000);
  await clock.advance(299);
  assert.deepEqual([queue.figures.waiting, queue.figures.delayed], [0, 1]);
  await clock.advance(1);
  assert.deepEqual([queue.figures.waiting, queue.figures.delayed], [1, 0]);
  await clock.advance(5000);
  assert.equal(queue.figures.adds, 1);
  queue.addAfter("b", 1000);
  queue.add("b");
  await clock.advance(5000);
  assert.equal(queue.figures.adds, 2);
  assert.equal(clock.sleeping, 0);
});

test("delays longer than a timer can count are kept", async () => {
  const { clock, queue } = setUp();
  const short = { now: () => clock.now(), monotonic: () => clock.monotonic() };
  const sleep = (milliseconds: number, signal?: AbortSignal) => clock.sleep(Math.min(milliseconds, 100), signal);
  const patient = new WorkQueue({ clock: { ...short, sleep } });
  patient.addAfter("a", 1000);
  await clock.advance(999);
  assert.equal(patient.figures.waiting, 0);
  await clock.advance(2);
  assert.equal(patient.figures.waiting, 1);
  assert.equal(queue.figures.waiting, 0);
});

test("a key that fails waits twice as long each time until it is forgotten; others do not wait for it", async () => {
  const { clock, queue } = setUp();
  const waits: number[] = [];
  for (let time = 0; time < 5; ++time) {
    const start = clock.now();
    queue.addRateLimited("a");
    while (queue.figures.waiting === 0) await clock.advance(50);
    waits.push(clock.now() - start);
    assert.equal(await queue.get(), "a");
    queue.done("a");
  }
  assert.deepEqual(waits, [100, 200, 400, 800, 1000]);
  assert.equal(queue.failures("a"), 5);
  queue.forget("a");
  queue.addRateLimited("a");
  queue.addRateLimited("b");
  await clock.advance(100);
  assert.equal(queue.figures.waiting, 2);
});

test("many that fail together are held to the overall pace", async () => {
  const { clock, queue } = setUp({ bucket: { rate: 10, burst: 5 } });
  for (let each = 0; each < 25; ++each) queue.addRateLimited(`k${each}`);
  await clock.advance(100);
  assert.equal(queue.figures.waiting, 6); // five at once and the first of the others, at 100 ms
  await clock.advance(1000);
  assert.equal(queue.figures.waiting, 16);
  await clock.advance(1000);
  assert.equal(queue.figures.waiting, 25);
});

test("a bucket fills up again, and not beyond its burst", () => {
  const bucket = new TokenBucket({ rate: 1, burst: 2 });
  assert.deepEqual(
    [0, 0, 0, 0].map((now) => bucket.take(now)),
    [0, 0, 1000, 2000],
  );
  assert.deepEqual(
    [9000, 9000, 9000].map((now) => bucket.take(now)),
    [0, 0, 1000],
  );
  assert.throws(() => new TokenBucket({ rate: 0, burst: 1 }), RangeError);
});

test("shutting down gives out what waits, also what was added again meanwhile, and ends when the last is done", async () => {
  const { clock, queue } = setUp();
  for (const key of ["a", "b"]) queue.add(key);
  queue.addAfter("later", 100);
  assert.equal(await queue.get(), "a");
  queue.add("a");
  let drained = false;
  const end = queue.shutDown().then(() => {
    drained = true;
  });
  queue.add("new");
  queue.addAfter("new", 10);
  queue.addRateLimited("new");
  assert.equal(await queue.get(), "b");
  queue.done("b");
  queue.done("a");
  assert.equal(await queue.get(), "a");
  const waiting = queue.get();
  await turn();
  assert.equal(drained, false);
  queue.done("a");
  assert.equal(await waiting, undefined);
  await end;
  assert.equal(clock.sleeping, 0);
  assert.equal(await queue.get(), undefined);
});

test("shutting down at once drops what waits, and still waits for what runs", async () => {
  const { queue } = setUp();
  for (const key of ["a", "b"]) queue.add(key);
  assert.equal(await queue.get(), "a");
  const end = queue.shutDown({ drop: true });
  assert.equal(await queue.get(), undefined);
  queue.done("a");
  await end;
});

for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
  test(`no key is lost or worked on twice at a time, whatever happens: seed ${seed}`, async () => {
    const random = randomFrom(seed);
    const { clock, queue } = setUp({ bucket: { rate: 1000, burst: 100 } });
    const running = new Set<string>();
    const wanted = new Map<string, number>();
    const done = new Map<string, number>();
    let most = 0;
    const worker = async (): Promise<void> => {
      for (let key = await queue.get(); key !== undefined; key = await queue.get()) {
        assert.ok(!running.has(key), `${key} by two`);
        running.add(key);
        most = Math.max(most, running.size);
        const seen = wanted.get(key) ?? 0; // what a reconcile sees when it begins
        await clock.sleep(random() * 50);
        running.delete(key);
        if (random() < 0.3) queue.addRateLimited(key);
        else {
          queue.forget(key);
          done.set(key, seen);
        }
        queue.done(key);
      }
    };
    const workers = [worker(), worker(), worker()];
    for (let step = 0; step < 400; ++step) {
      const key = `k${Math.floor(random() * 10)}`;
      wanted.set(key, (wanted.get(key) ?? 0) + 1);
      if (random() < 0.7) queue.add(key);
      else queue.addAfter(key, random() * 100);
      await clock.advance(random() * 20);
    }
    await clock.advance(60_000);
    assert.deepEqual(done, new Map([...done.keys()].map((key) => [key, wanted.get(key) ?? 0])));
    assert.equal(done.size, wanted.size);
    assert.equal(most, 3);
    const end = queue.shutDown();
    await Promise.all(workers);
    await end;
  });
}
