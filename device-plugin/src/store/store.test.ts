import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { holdingOf, unitsOf } from "../testing/fixtures.ts";
import { randomOf, seeds } from "../testing/random.ts";
import { DiskError, diskFiles, type Files } from "./files.ts";
import type { Allocation } from "./record.ts";
import { Store } from "./store.ts";

const telemetryBytes = 4096;
const makeControl = (path: string): void => writeFileSync(path, "control");

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "loretoken-store-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function allocationOf(store: Store, id: string): Allocation {
  return { holding: holdingOf(id, unitsOf(0, 0, 2), store.filesOf(id)), shim: "0.1.0-abc" };
}

test("what was kept is read again, all of it", async (t) => {
  const folder = folderOf(t);
  const store = new Store(folder, diskFiles, telemetryBytes);
  assert.deepEqual(await store.load(), { kept: [], damaged: [] });
  const first = allocationOf(store, "a");
  await store.create(first, makeControl);
  await store.create(allocationOf(store, "b"), makeControl);
  const owner = { namespace: "n", pod: "p", podUid: "u", container: "c" };
  const owned = { ...first, holding: { ...first.holding, owner } };
  await store.update(owned);
  await store.remove("b");
  await store.remove("b");
  assert.deepEqual(await new Store(folder, diskFiles, telemetryBytes).load(), { kept: [owned], damaged: [] });
  assert.deepEqual(readdirSync(store.folder), ["a"]);
});

test("allocations find folders made ahead; what is left of them goes at the end, or with the next start", async (t) => {
  const folder = folderOf(t);
  const made: string[] = [];
  const mkdir: Files["mkdir"] = async (path) => {
    made.push(path);
    await diskFiles.mkdir(path);
  };
  const store = new Store(folder, { ...diskFiles, mkdir }, telemetryBytes);
  await store.load();
  const nobodyWaits = async (): Promise<void> => undefined;
  await store.prepare(nobodyWaits);
  made.length = 0;
  const allocation = allocationOf(store, "a");
  await store.create(allocation, makeControl);
  assert.deepEqual(made, [], "nothing was to be made");
  assert.equal(statSync(allocation.holding.telemetry).size, telemetryBytes);
  assert.equal(statSync(allocation.holding.telemetry).mode & 0o777, 0o666);
  await store.prepare(nobodyWaits);
  assert.equal(made.length, 1, "what was taken is made anew");
  for (const id of ["b", "c", "d", "e", "f"]) await store.create(allocationOf(store, id), makeControl);
  assert.equal(made.length, 2, "without one it is made on the spot");
  await store.prepare(nobodyWaits);
  const next = new Store(folder, diskFiles, telemetryBytes);
  assert.equal((await next.load()).kept.length, 6);
  assert.deepEqual(readdirSync(folder), ["allocations"]);
  await next.prepare(nobodyWaits);
  await next.close();
  assert.deepEqual(readdirSync(folder), ["allocations"]);
});

test("a full disk leaves no folder made ahead, and is no error before an allocation needs one", async (t) => {
  const folder = folderOf(t);
  const store = new Store(folder, fullFrom(2), telemetryBytes);
  await store.prepare(async () => undefined);
  assert.deepEqual(readdirSync(join(folder, "spare")), []);
});

test("programs of any user may write telemetry, and only that; its room is really there", async (t) => {
  const store = new Store(folderOf(t), diskFiles, telemetryBytes);
  await store.load();
  await store.create(allocationOf(store, "a"), makeControl);
  const { telemetry } = store.filesOf("a");
  const status = statSync(telemetry);
  assert.deepEqual([status.mode & 0o777, status.size], [0o666, telemetryBytes]);
  assert.ok(status.blocks * 512 >= telemetryBytes, "no hole");
  assert.equal(statSync(join(store.folder, "a")).mode & 0o777, 0o755);
  assert.equal(statSync(join(store.folder, "a/allocation.json")).mode & 0o777, 0o644);
});

test("renewed telemetry is another file of zeros under the same name", async (t) => {
  const store = new Store(folderOf(t), diskFiles, telemetryBytes);
  await store.load();
  await store.create(allocationOf(store, "a"), makeControl);
  const { telemetry } = store.filesOf("a");
  writeFileSync(telemetry, Buffer.alloc(telemetryBytes, 1));
  const before = statSync(telemetry).ino;
  await store.renewTelemetry("a");
  assert.notEqual(statSync(telemetry).ino, before);
  assert.deepEqual(readFileSync(telemetry), Buffer.alloc(telemetryBytes));
});

test("what was half done is removed, what is damaged is told once and put aside", async (t) => {
  const folder = folderOf(t);
  const store = new Store(folder, diskFiles, telemetryBytes);
  await store.load();
  await store.create(allocationOf(store, "a"), makeControl);
  const place = (name: string, record?: string | Buffer): void => {
    mkdirSync(join(store.folder, name));
    if (record !== undefined) writeFileSync(join(store.folder, name, "allocation.json"), record);
  };
  place(".new-b");
  place(".old-c");
  place("empty", "");
  place("other", readFileSync(join(store.folder, "a/allocation.json")));
  place("bare");
  const { kept, damaged } = await store.load();
  assert.deepEqual(
    kept.map(({ holding }) => holding.id),
    ["a"],
  );
  const why = Object.fromEntries(damaged.map((entry) => [entry.id, entry.why]));
  assert.equal(why.empty, "it is empty");
  assert.equal(why.other, "it names itself a");
  assert.match(why.bare ?? "", /ENOENT/);
  assert.deepEqual(readdirSync(store.folder), ["a"]);
  const aside = join(folder, "damaged");
  assert.deepEqual(readdirSync(aside).sort(), ["bare", "empty", "other"]);
  assert.equal(damaged.find(({ id }) => id === "other")?.aside, join(aside, "other"));
  assert.deepEqual((await store.load()).damaged, []);
  place("empty", "");
  assert.equal((await store.load()).damaged[0]?.aside, join(aside, "empty.2"), "what lies there stays");
});

test("what cannot be put aside is told and left; a folder that may not be read says nothing about records", async (t) => {
  const folder = folderOf(t);
  const files: Files = { ...diskFiles };
  const store = new Store(folder, files, telemetryBytes);
  await store.load();
  await store.create(allocationOf(store, "a"), makeControl);
  writeFileSync(join(store.folder, "a/allocation.json"), "{");
  const refuse = async (): Promise<never> => {
    throw Object.assign(new Error("EACCES: permission denied"), { code: "EACCES" });
  };
  const stuck = await new Store(folder, { ...files, rename: refuse }, telemetryBytes).load();
  assert.deepEqual(stuck.damaged, [{ id: "a", why: "it is no JSON", aside: undefined }]);
  await assert.rejects(new Store(folder, { ...files, read: refuse }, telemetryBytes).load(), DiskError);
  assert.deepEqual(readdirSync(store.folder), ["a"]);
});

/** The disk is full from the n-th writing step on. */
function fullFrom(step: number): Files {
  let steps = 0;
  const orFull = <A extends unknown[]>(work: (...values: A) => Promise<void>) => {
    return async (...values: A): Promise<void> => {
      steps += 1;
      if (steps >= step) throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
      await work(...values);
    };
  };
  const { mkdir, write, overwrite, rename } = diskFiles;
  const files = { mkdir: orFull(mkdir), write: orFull(write), overwrite: orFull(overwrite), rename: orFull(rename) };
  return { ...diskFiles, ...files };
}

test("on a full disk nothing is half kept, and the error names the place and what to do", async (t) => {
  for (let step = 1; step <= 4; ++step) {
    const folder = folderOf(t);
    await new Store(folder, diskFiles, telemetryBytes).load();
    const store = new Store(folder, fullFrom(step), telemetryBytes);
    await assert.rejects(store.create(allocationOf(store, "a"), makeControl), (error: unknown) => {
      assert.ok(error instanceof DiskError);
      assert.ok(error.message.includes(store.folder), error.message);
      assert.match(error.message, /no space left on device.*the disk is full: make room there/);
      return true;
    });
    assert.deepEqual(readdirSync(store.folder), [], `step ${step}`);
  }
});

test("a change that finds no room leaves what was kept", async (t) => {
  const folder = folderOf(t);
  const store = new Store(folder, diskFiles, telemetryBytes);
  await store.load();
  const allocation = allocationOf(store, "a");
  await store.create(allocation, makeControl);
  await assert.rejects(new Store(folder, fullFrom(1), telemetryBytes).update({ ...allocation, shim: "2" }), DiskError);
  await assert.rejects(new Store(folder, fullFrom(2), telemetryBytes).update({ ...allocation, shim: "2" }), DiskError);
  assert.deepEqual((await store.load()).kept, [allocation]);
});

test("killed at any moment, it leaves whole allocations only", async (t) => {
  const [seed = 0] = seeds(1);
  t.diagnostic(`seed ${seed}`);
  const random = randomOf(seed);
  const folder = folderOf(t);
  let seen = 0;
  for (let round = 0; round < 12; ++round) {
    const script = join(import.meta.dirname, "../testing/crashing-store.ts");
    const child = spawn(process.execPath, [script, folder], { stdio: ["ignore", "pipe", "inherit"] });
    await once(child.stdout, "data");
    await sleep(random.between(0, 40));
    child.kill("SIGKILL");
    await once(child, "exit");
    const store = new Store(folder, diskFiles, 65_536);
    const { kept, damaged } = await store.load();
    assert.deepEqual(damaged, []);
    seen += kept.length;
    for (const { holding } of kept) {
      assert.equal(statSync(holding.telemetry).size, 65_536);
      assert.ok(existsSync(holding.control));
    }
    assert.equal(readdirSync(store.folder).length, kept.length, "nothing else is left");
  }
  assert.ok(seen > 0, "no allocation was ever kept");
});
