import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { telemetryHeader } from "./abi.ts";
import { noUse } from "./process-use.ts";
import { type Glance, TelemetryReader } from "./reader.ts";
import { TelemetryBytes } from "./testing/telemetry-bytes.ts";

const reader = new TelemetryReader();

function glancer(context: TestContext, file: TelemetryBytes): { path: string; glance: () => Glance } {
  const folder = mkdtempSync(join(tmpdir(), "telemetry-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "telemetry");
  writeFileSync(path, file.data);
  const glance = (): Glance => {
    const open = openSync(path, "r");
    try {
      return reader.glance(open, path);
    } finally {
      closeSync(open);
    }
  };
  return { path, glance };
}

test("one look tells what the processes of a container hold together, the newest event, and which file it is", (context) => {
  const file = new TelemetryBytes()
    .process(0, { pid: 1, charged: [1000, 5] })
    .process(2, { pid: 9, charged: [500] })
    .event(1)
    .event(2);
  const { path, glance } = glancer(context, file);
  const { use, eventNext, inode, fileSize, fault } = glance();
  assert.deepEqual(use, { processes: 2, charged: 1500n });
  assert.deepEqual([eventNext, inode, fileSize], [2, reader.peek(path)?.inode, file.data.length]);
  assert.equal(fault, undefined);
});

test("a file that is new, cut short or garbage counts for nothing, and the look says why", (context) => {
  const { path, glance } = glancer(context, new TelemetryBytes().process(0, { pid: 1, charged: [1000] }));
  assert.equal(glance().use.charged, 1000n);
  const fault = (): [unknown, string | undefined] => [glance().use, glance().fault?.fault];
  truncateSync(path, 20);
  assert.deepEqual(fault(), [noUse, "damaged"]);
  writeFileSync(path, new Uint8Array(50_000));
  assert.deepEqual(fault(), [noUse, "unset"]);
  writeFileSync(path, new Uint8Array(50_000).fill(255));
  assert.deepEqual(fault(), [noUse, "foreign"]);
  const hostile = new TelemetryBytes().process(0, { pid: 1, charged: [1000] });
  hostile.view.setUint32(telemetryHeader.offsets.get("process_offset") ?? 0, 0xffff_fff0, true);
  writeFileSync(path, hostile.data);
  assert.deepEqual(glance().use, noUse);
});
