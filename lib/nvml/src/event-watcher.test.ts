import assert from "node:assert/strict";
import test, { after, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Calls, loadCalls } from "./calls.ts";
import { errorCode } from "./errors.ts";
import type { UnwatchedDevice } from "./event-loop.ts";
import type { DeviceEvent } from "./event-set.ts";
import { EventWatcher, type WatchHandlers, type WatchOptions } from "./event-watcher.ts";
import { inject, openSimulated, simulatedDriver, xidLine } from "./testing/simulator.ts";

const nvml = openSimulated();
after(() => nvml.close());
const uuids = nvml.devices().devices.map(({ uuid }) => uuid);

class Heard implements WatchHandlers {
  readonly events: DeviceEvent[] = [];
  readonly losses: UnwatchedDevice[] = [];
  readonly failures: string[] = [];
  event(event: DeviceEvent): void {
    this.events.push(event);
  }
  lost(device: UnwatchedDevice): void {
    this.losses.push(device);
  }
  failed(sentence: string): void {
    this.failures.push(sentence);
  }
  /** Waits until there are so many events, for up to 10 s. */
  async upTo(count: number): Promise<DeviceEvent[]> {
    for (let left = 1000; left > 0 && this.events.length < count; --left) await sleep(10);
    return this.events;
  }
}

/** A watcher that ends with its test, however that ends. */
async function watch(t: TestContext, heard: Heard, options: WatchOptions, from = nvml): Promise<EventWatcher> {
  const watcher = await from.watchEvents(heard, options);
  t.after(() => watcher.stop());
  return watcher;
}

const what = (events: DeviceEvent[]) => events.map(({ uuid, kind, xid }) => [uuids.indexOf(uuid), kind, xid]);

test("an XID is told with its GPU while the main loop stays free", async (t) => {
  const heard = new Heard();
  const watcher = await watch(t, heard, { slice: 2000 });
  assert.deepEqual(watcher.uuids, uuids);
  assert.deepEqual(watcher.unwatched, []);
  let ticks = 0;
  const ticking = setInterval(() => {
    ticks += 1;
  }, 5);
  await sleep(500);
  clearInterval(ticking);
  assert.ok(ticks >= 20, `${ticks} turns of the main loop during a wait of 2 s`);
  const before = Date.now();
  await inject(xidLine(79, 1));
  const [event] = await heard.upTo(1);
  assert.ok(event);
  assert.deepEqual(what([event]), [[1, "xid", 79]]);
  assert.ok(event.at >= before && event.at <= Date.now(), `${event.at}`);
  assert.ok(Date.now() - before < 1500, "told at once, not at the end of the wait");
  assert.equal(event.gpuInstance, undefined);
  assert.equal(await watcher.stop(), "ended");
  assert.deepEqual(heard.failures, []);
});

test("a storm is told whole and in order", async (t) => {
  const heard = new Heard();
  await watch(t, heard, { slice: 50 });
  const codes = Array.from({ length: 60 }, (_, index) => index + 1);
  await inject(...codes.map((code) => xidLine(code, code % 2)));
  const events = await heard.upTo(codes.length);
  await sleep(100);
  assert.deepEqual(
    [0, 1].map((device) => what(events).filter(([index]) => index === device)),
    [0, 1].map((device) => codes.filter((code) => code % 2 === device).map((code) => [device, "xid", code])),
  );
});

test("a rise of uncorrected ECC errors is told", async (t) => {
  const heard = new Heard();
  const watcher = await watch(t, heard, { slice: 50 });
  await inject("ecc_errors.0=1");
  assert.deepEqual(what(await heard.upTo(1)), [[0, "double-bit-ecc", 0]]);
  await watcher.stop();
  await inject();
});

test("after a stop nothing is told; a new watcher tells only what is new", async (t) => {
  const first = new Heard();
  const ended = await watch(t, first, { slice: 50 });
  assert.equal(await ended.stop(), "ended");
  assert.equal(await ended.stop(), "ended", "stopping twice");
  await inject(xidLine(48, 0));
  const second = new Heard();
  await watch(t, second, { slice: 50 });
  await inject(xidLine(63, 0));
  await second.upTo(1);
  assert.deepEqual(what(second.events), [[0, "xid", 63]]);
  assert.deepEqual(first.events, []);
  assert.deepEqual([...first.failures, ...second.failures], []);
});

test("stopping takes no longer than the slice", async (t) => {
  const watcher = await watch(t, new Heard(), { slice: 200 });
  await sleep(20);
  const before = performance.now();
  await watcher.stop();
  assert.ok(performance.now() - before < 1500, `${performance.now() - before} ms`);
});

test("two watchers both hear", async (t) => {
  const heard = [new Heard(), new Heard()] as const;
  const watchers = [await watch(t, heard[0], { slice: 50 }), await watch(t, heard[1], { slice: 50 })] as const;
  await inject(xidLine(31, 1));
  for (const each of heard) assert.deepEqual(what(await each.upTo(1)), [[1, "xid", 31]]);
  await watchers[0].stop();
  await inject(xidLine(32, 1));
  assert.equal((await heard[1].upTo(2)).length, 2);
  assert.equal(heard[0].events.length, 1);
});

test("a watcher outlives the NVML it was asked of", async (t) => {
  const other = openSimulated();
  const heard = new Heard();
  await watch(t, heard, { slice: 50 }, other);
  other.close();
  await inject(xidLine(74, 0));
  assert.deepEqual(what(await heard.upTo(1)), [[0, "xid", 74]]);
});

test("what cannot begin says why", async () => {
  const missing = EventWatcher.start("libloretoken-absent.so.1", new Heard());
  await assert.rejects(missing, /GPU events cannot be watched: .*cannot open shared object file/);
  const other = EventWatcher.start(simulatedDriver, new Heard());
  await assert.rejects(other, /GPU events cannot be watched: nvmlInit_v2: NVML_ERROR_FUNCTION_NOT_FOUND/);
});

/** The real calls, but for the wait. */
const waiting = (wait: Calls["nvmlEventSetWait_v2"]) => (library: string) => ({
  ...loadCalls(library),
  nvmlEventSetWait_v2: wait,
});

test("a wait that fails in itself is told, and watching can begin anew", async (t) => {
  const heard = new Heard();
  const load = waiting(() => Promise.reject(new Error("dies for a test")));
  await watch(t, heard, { slice: 50, load });
  for (let left = 500; left > 0 && heard.failures.length === 0; --left) await sleep(10);
  assert.deepEqual(heard.failures, ["dies for a test"]);
  await watch(t, heard, { slice: 50 });
  await inject(xidLine(94, 0));
  assert.deepEqual(what(await heard.upTo(1)), [[0, "xid", 94]]);
});

test("a driver that does not return does not hold up a stop", async (t) => {
  const heard = new Heard();
  const { promise, resolve } = Promise.withResolvers<number>();
  const watcher = await watch(t, heard, { slice: 50, patience: 100, load: waiting(() => promise) });
  assert.equal(await watcher.stop(), "stuck");
  const before = performance.now();
  assert.equal(await watcher.stop(), "stuck");
  assert.ok(performance.now() - before < 100, "the second stop waits no more");
  resolve(errorCode("NVML_ERROR_TIMEOUT"));
  assert.equal(await watcher.stop(), "ended", "once the driver returned");
  assert.deepEqual(heard.failures, []);
});
