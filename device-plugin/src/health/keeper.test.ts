import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { diskFiles } from "../store/files.ts";
import { MedicalRecords } from "../store/medical-records.ts";
import { recordingLog } from "../testing/log.ts";
import { HealthBook } from "./book.ts";
import { HealthKeeper } from "./keeper.ts";

function setUp(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "loretoken-health-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const log = recordingLog();
  const disk = { full: false, writes: 0 };
  const write: typeof diskFiles.write = async (path, content, options) => {
    disk.writes += 1;
    if (disk.full) throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
    await diskFiles.write(path, content, options);
  };
  const agent = () => {
    const book = new HealthBook({ ignoredXids: [], recover: 60_000 });
    return { book, keeper: new HealthKeeper(book, new MedicalRecords(folder, { ...diskFiles, write }), log) };
  };
  return { path: join(folder, "health.json"), log, disk, agent };
}

test("what one agent knew the next one knows", async (t) => {
  const { agent } = setUp(t);
  const first = agent();
  await first.keeper.restore(0);
  first.book.xid("A", 79, 5);
  first.keeper.keep();
  await first.keeper.close();
  const second = agent();
  await second.keeper.restore(10);
  assert.deepEqual(second.book.records(), first.book.records());
  assert.equal(second.book.get("A").state, "unhealthy");
});

test("nothing new writes nothing; a change while it is written is written too", async (t) => {
  const { agent, disk, path } = setUp(t);
  const { book, keeper } = agent();
  await keeper.restore(0);
  keeper.keep();
  assert.equal(disk.writes, 0);
  book.xid("A", 79, 5);
  keeper.keep();
  book.xid("B", 48, 6);
  keeper.keep();
  await keeper.close();
  assert.equal(disk.writes, 2);
  assert.deepEqual(Object.keys(JSON.parse(readFileSync(path, "utf8"))), ["A", "B"]);
  keeper.keep();
  assert.equal(disk.writes, 2);
});

test("a full disk is told and tried again; a damaged file is told and written anew", async (t) => {
  const { agent, disk, log, path } = setUp(t);
  const { book, keeper } = agent();
  disk.full = true;
  book.xid("A", 79, 5);
  keeper.keep();
  await keeper.close();
  assert.ok(log.messages.includes("GPUs' health not kept"));
  disk.full = false;
  await keeper.close();
  assert.match(readFileSync(path, "utf8"), /XID 79/);
  writeFileSync(path, '{"A":{"ill":"yes"}}');
  const next = agent();
  await next.keeper.restore(10);
  assert.equal(log.messages.at(-1), "GPUs' health of before is not known");
  assert.equal(next.book.get("A").state, "healthy");
  next.book.xid("A", 48, 20);
  next.keeper.keep();
  await next.keeper.close();
  assert.match(readFileSync(path, "utf8"), /XID 48/);
});
