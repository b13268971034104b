import assert from "node:assert/strict";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import {
  ABI_MAJOR,
  MAX_PROCESSES,
  processEntry,
  TELEMETRY_MAGIC,
  telemetry,
  telemetryHeader,
} from "@loretoken/telemetry";
import { GiB, holdingOf, unitsOf } from "../testing/fixtures.ts";
import { keepSize } from "./telemetry-size.ts";
import { nothing, ownUse, type ProcessUse, Strangers, UsageReader } from "./usage.ts";
import { withFile } from "./with-file.ts";

function fileOf(processes: { pid: number; charged: number }[]): Uint8Array {
  const bytes = new Uint8Array(telemetry.size);
  const view = new DataView(bytes.buffer);
  const at = (name: string): number => telemetryHeader.offsets.get(name) ?? 0;
  view.setBigUint64(at("magic"), TELEMETRY_MAGIC, true);
  view.setUint32(at("version_major"), ABI_MAJOR, true);
  view.setUint32(at("process_offset"), telemetryHeader.size, true);
  view.setUint32(at("process_size"), processEntry.size, true);
  view.setUint32(at("process_count"), MAX_PROCESSES, true);
  for (const [index, { pid, charged }] of processes.entries()) {
    const entry = telemetryHeader.size + index * processEntry.size;
    view.setUint32(entry, pid, true);
    view.setBigUint64(entry + (processEntry.offsets.get("charged") ?? 0), BigInt(charged), true);
  }
  return bytes;
}

const reader = new UsageReader();

const read = (path: string): ProcessUse => withFile(path, (file) => reader.read(file));
const keep = (path: string, bytes: number): number | undefined => withFile(path, (file) => keepSize(file, bytes));

function folderOf(t: { after(end: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), "loretoken-usage-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test("what the processes of a container hold is added up", (t) => {
  const path = join(folderOf(t), "telemetry");
  const processes = [
    { pid: 1, charged: 1000 },
    { pid: 0, charged: 7 },
    { pid: 9, charged: 500 },
  ];
  writeFileSync(path, fileOf(processes));
  assert.deepEqual(read(path), { processes: 2, charged: 1500n });
});

test("a file that is new, cut short or garbage counts for nothing", (t) => {
  const path = join(folderOf(t), "telemetry");
  writeFileSync(path, fileOf([{ pid: 1, charged: 1000 }]));
  read(path);
  truncateSync(path, 20);
  assert.deepEqual(read(path), nothing);
  writeFileSync(path, new Uint8Array(telemetry.size));
  assert.deepEqual(read(path), nothing);
  writeFileSync(path, new Uint8Array(telemetry.size).fill(255));
  assert.deepEqual(read(path), nothing);
  const hostile = fileOf([{ pid: 1, charged: 1000 }]);
  new DataView(hostile.buffer).setUint32(telemetryHeader.offsets.get("process_offset") ?? 0, 0xffff_fff0, true);
  writeFileSync(path, hostile);
  assert.deepEqual(read(path), nothing);
});

test("a container counts for no more than it was promised, and its contexts", () => {
  const holding = holdingOf("a", unitsOf(0, 0, 1), { guaranteed: GiB });
  assert.equal(ownUse(holding, { processes: 2, charged: 99n * GiB }, 100n), GiB + 200n);
  assert.equal(ownUse(holding, { processes: 1, charged: 5n }, 100n), 105n);
});

test("strangers are who stays", () => {
  const strangers = new Strangers();
  assert.equal(strangers.look("A", 10n, 0n), 0n);
  assert.equal(strangers.look("A", 10n, 0n), 0n);
  assert.equal(strangers.look("A", 12n, 0n), 10n);
  assert.equal(strangers.look("A", 12n, 12n), 0n, "one look without them and they were none");
  assert.equal(strangers.look("A", 12n, 5n), 0n);
  assert.equal(strangers.look("A", 12n, 5n), 0n);
  assert.equal(strangers.look("A", 9n, 5n), 4n);
  assert.equal(strangers.look("A", 3n, 5n), 0n, "never less than nothing");
  assert.equal(strangers.look("B", 10n, 0n), 0n);
});

test("a telemetry file is put back to its size, its contents kept", (t) => {
  const path = join(folderOf(t), "telemetry");
  writeFileSync(path, "12345678");
  assert.equal(keep(path, 8), undefined);
  writeFileSync(path, "123456789012");
  assert.equal(keep(path, 8), 12);
  assert.equal(keep(path, 8), undefined);
  truncateSync(path, 3);
  assert.equal(keep(path, 8), 3);
  assert.equal(keep(path, 8), undefined);
});
