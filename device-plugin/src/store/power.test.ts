/** What a power failure leaves of an allocation: the record is on the disk when Allocate returns, the folder's new name may not be. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { holdingOf, unitsOf } from "../testing/fixtures.ts";
import { diskFiles } from "./files.ts";
import type { Allocation } from "./record.ts";
import { Store } from "./store.ts";

const telemetryBytes = 4096;
/** What a disk writes whole or not at all. */
const sector = 512;

interface Failed {
  folder: string;
  /** As it was given. */
  allocation: Allocation;
  /** The record in the folder made ahead, which has its old name again. */
  record: string;
}

/** A node that loses its power right after an allocation of so many units. */
async function failed(t: TestContext, units: number): Promise<Failed> {
  const folder = mkdtempSync(join(tmpdir(), "loretoken-power-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const store = new Store(folder, diskFiles, telemetryBytes);
  await store.load();
  await store.prepare(async () => undefined);
  const allocation = { holding: holdingOf("a", unitsOf(0, 0, units), store.filesOf("a")), shim: "0.1.0-abc" };
  await store.create(allocation, (path) => writeFileSync(path, "control"));
  const before = join(folder, "spare/0");
  renameSync(join(folder, "allocations/a"), before);
  return { folder, allocation, record: join(before, "allocation.json") };
}

const load = (folder: string) => new Store(folder, diskFiles, telemetryBytes).load();

test("an allocation whose folder lost its name has it again with the next start", async (t) => {
  const { folder, allocation } = await failed(t, 2);
  assert.deepEqual(await load(folder), { kept: [allocation], damaged: [] });
  assert.deepEqual(readdirSync(folder), ["allocations"]);
  assert.equal(statSync(allocation.holding.telemetry).size, telemetryBytes);
  assert.deepEqual((await load(folder)).kept, [allocation]);
});

test("a record takes the room that was kept for it: nothing of the file but its content changes", async (t) => {
  for (const units of [1, 400]) assert.equal(statSync((await failed(t, units)).record).size, 8192, `${units} units`);
});

test("of a record that is cut at any byte, or lacks any sector, there is no allocation", async (t) => {
  const { folder, record } = await failed(t, 200);
  const whole = readFileSync(record);
  const length = whole.toString().trimEnd().length;
  const states: [string, Buffer][] = [];
  for (let cut = 0; cut < length; cut += cut < length - 600 ? 97 : 1) {
    states.push([`cut at ${cut}`, Buffer.from(whole).fill(" ", cut)]);
  }
  for (let at = 0; at < length; at += sector) {
    states.push([`without the sector at ${at}`, Buffer.from(whole).fill(" ", at, at + sector)]);
  }
  for (const [what, bytes] of states) {
    await diskFiles.mkdir(join(record, ".."));
    writeFileSync(record, bytes);
    assert.deepEqual(await load(folder), { kept: [], damaged: [] }, what);
    assert.deepEqual(readdirSync(folder), ["allocations"]);
  }
});

test("records without a checksum, as older versions wrote them, are read; a wrong checksum is damage", async (t) => {
  const { folder, allocation, record } = await failed(t, 3);
  await load(folder);
  const path = join(folder, "allocations/a/allocation.json");
  assert.throws(() => statSync(record));
  const { sum, ...fields } = JSON.parse(readFileSync(path, "utf8")) as { sum: number };
  writeFileSync(path, JSON.stringify(fields));
  assert.deepEqual((await load(folder)).kept, [allocation]);
  writeFileSync(path, JSON.stringify({ ...fields, sum: sum + 1 }));
  const { kept, damaged } = await load(folder);
  assert.deepEqual(kept, []);
  assert.equal(damaged[0]?.why, "its checksum is of other content");
});
