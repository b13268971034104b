import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { decodeTelemetry } from "./file.ts";
import { liveRows } from "./liveness.ts";
import { TelemetryReader } from "./reader.ts";
import { TelemetryBytes } from "./testing/telemetry-bytes.ts";
import { usageOf } from "./usage.ts";

function place(context: TestContext, file = new TelemetryBytes()): string {
  const folder = mkdtempSync(join(tmpdir(), "telemetry-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "telemetry");
  writeFileSync(path, file.data);
  return path;
}

test("one reader reads files of many sizes, and each only itself", (context) => {
  const reader = new TelemetryReader();
  const long = place(context, new TelemetryBytes().row(0, { pid: 7, raw_bytes: 1 }));
  writeFileSync(long, new Uint8Array(1 << 19), { flag: "a" });
  const short = place(context);
  assert.equal(reader.read(long)?.rows[0]?.raw_bytes, 1);
  truncateSync(short, 5000);
  assert.throws(() => reader.read(short), /is cut short/);
  assert.equal(reader.read(long)?.rows.length, 1);
});

test("a file that grew is read, and its size told", (context) => {
  const path = place(context);
  truncateSync(path, 1 << 30);
  const snapshot = new TelemetryReader().read(path);
  assert.equal(snapshot?.fileSize, 1 << 30);
  assert.ok((snapshot?.header.size ?? 0) < 1 << 20);
});

test("no file is not an error; another file under the name has another inode", (context) => {
  const path = place(context);
  const reader = new TelemetryReader();
  const first = reader.read(path);
  writeFileSync(`${path}.new`, readFileSync(path));
  renameSync(`${path}.new`, path);
  assert.notEqual(reader.read(path)?.inode, first?.inode);
  rmSync(path);
  assert.equal(reader.read(path), undefined);
});

test("a peek tells the newest event and whether it is another file, of whole and of broken files", (context) => {
  const path = place(context, new TelemetryBytes().event(1).event(2));
  const reader = new TelemetryReader();
  assert.equal(reader.peek(path)?.eventNext, 2);
  assert.equal(reader.peek(path)?.inode, reader.read(path)?.inode);
  truncateSync(path, 100);
  assert.throws(() => reader.peek(path), /is cut short/);
  truncateSync(path, 0);
  assert.throws(() => reader.peek(path), /is empty/);
  rmSync(path);
  assert.equal(reader.peek(path), undefined);
});

test("events that are not of interest are left out", (context) => {
  const path = place(context, new TelemetryBytes().event(1).event(2).event(3));
  assert.deepEqual(
    new TelemetryReader().read(path, 2)?.events.map(({ number }) => number),
    [2, 3],
  );
});

test("a folder or device in the place of the file is refused", (context) => {
  const path = place(context);
  assert.throws(() => new TelemetryReader().read(join(path, "..")), /is not a regular file/);
  assert.throws(() => new TelemetryReader().read("/dev/zero"), /is not a regular file/);
});

test("gauges count for live processes only, and never below zero", () => {
  const file = new TelemetryBytes()
    .process(0, { pid: 1, start_time: 10 })
    .process(1, { pid: 2, start_time: 20 })
    .row(0, { pid: 1, start_time: 10, raw_bytes: 100, mode: 0, pins: [1] })
    .row(1, { pid: 2, start_time: 20, raw_bytes: 2 ** 64 - 2048, packed_bytes: 5, mode: 1, mode_guard: 2, pins: [2] })
    .row(2, { pid: 3, start_time: 30, raw_bytes: 1000, mode: 2 });
  const usage = usageOf(liveRows(decodeTelemetry(file.data)));
  assert.deepEqual([usage.raw_bytes, usage.packed_bytes, usage.processes, usage.pins[0]], [100, 5, 2, 3]);
  assert.deepEqual([usage.mode, usage.modeGuard], ["hold", "thermal"]);
  assert.equal(usageOf([]).mode, "full");
});

test("where no process ever held memory, the mode of each counts", () => {
  const file = new TelemetryBytes().row(0, {
    pid: 1,
    start_time: 10,
    mode: 2,
    mode_guard: 6,
    mode_cause: "no kernels",
  });
  const usage = usageOf(liveRows(decodeTelemetry(file.data)));
  assert.deepEqual([usage.mode, usage.modeGuard, usage.modeCause], ["off", "driver", "no kernels"]);
  assert.equal(usageOf(liveRows(decodeTelemetry(file.data), () => false)).mode, "full");
});
