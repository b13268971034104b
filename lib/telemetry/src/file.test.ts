import assert from "node:assert/strict";
import test from "node:test";
import * as abi from "./abi.ts";
import { decodeTelemetry, TelemetryError, type TelemetryFault } from "./file.ts";
import { TelemetryBytes } from "./testing/telemetry-bytes.ts";

function put(view: DataView, at: number, size: number, value: bigint | number): void {
  if (size === 4) view.setUint32(at, Number(value), true);
  else view.setBigUint64(at, BigInt(value), true);
}

/** A file as a writer of this version makes it, with one process, two rows and 130 events. */
function wellFormed(): Uint8Array {
  const file = new TelemetryBytes().process(0, { pid: 41 });
  for (const device of [0, 1]) {
    const pins = [0, 0, 0, 0, 0, 7];
    file.row(device, { pid: 41, device, raw_peak: 1000 + device, pins, mode_cause: "cause\0rest" });
  }
  for (let number = 1; number <= 130; ++number) file.event(number);
  return file.data;
}

test("reads processes, rows and events that are in use, events oldest first", () => {
  const read = decodeTelemetry(wellFormed());
  assert.deepEqual(
    read.processes.map((entry) => entry.pid),
    [41],
  );
  assert.deepEqual(
    read.rows.map((row) => [row.device, row.raw_peak, row.pins[5], row.mode_cause]),
    [
      [0, 1000, 7, "cause"],
      [1, 1001, 7, "cause"],
    ],
  );
  assert.deepEqual(
    read.events.map((event) => event.number),
    Array.from({ length: abi.MAX_EVENTS }, (_, index) => index + 3),
  );
});

test("entries that a process is just claiming, and events outside their slot, are not in use", () => {
  const file = new TelemetryBytes()
    .row(0, { pid: 0xffff_ffff })
    .process(0, { pid: 0xffff_ffff })
    .slot(5, { number: 6 });
  const read = decodeTelemetry(file.data);
  assert.deepEqual([read.rows, read.processes, read.events], [[], [], []]);
});

test("an older writer's shorter rows read as zero beyond their end", () => {
  const data = wellFormed();
  const view = new DataView(data.buffer);
  const shorter = abi.row.offsets.get("pins") ?? 0;
  put(view, abi.telemetry.offsets.get("row_size") ?? 0, 4, shorter);
  put(view, abi.telemetry.offsets.get("row_count") ?? 0, 4, 1);
  const [row] = decodeTelemetry(data).rows;
  assert.equal(row?.raw_peak, 1000);
  assert.equal(row?.pins[5], 0);
});

test("a newer writer's longer rows are stepped over by their stated size", () => {
  const data = wellFormed();
  const longer = abi.row.size + 64;
  const rows = abi.telemetry.offsets.get("rows") ?? 0;
  const second = data.slice(rows + abi.row.size, rows + 2 * abi.row.size);
  data.set(second, rows + longer);
  const view = new DataView(data.buffer);
  put(view, abi.telemetry.offsets.get("row_size") ?? 0, 4, longer);
  put(view, abi.telemetry.offsets.get("row_count") ?? 0, 4, 2);
  assert.deepEqual(
    decodeTelemetry(data).rows.map((row) => row.device),
    [0, 1],
  );
});

const damage: [string, TelemetryFault, (data: Uint8Array) => Uint8Array, RegExp][] = [
  ["empty", "unset", () => new Uint8Array(0), /is empty/],
  ["zeroed", "unset", (data) => new Uint8Array(data.length), /is not set up/],
  ["shorter than its header", "damaged", (data) => data.slice(0, 100), /is cut short: 100 bytes/],
  ["shorter than its tables", "damaged", (data) => data.slice(0, data.length - 1), /event table ends at byte/],
  ["something else", "foreign", (data) => data.fill(0x41), /is no telemetry file/],
  ["of another major version", "version", (data) => alter(data, "version_major", 9), /layout version 9\.0/],
  ["with a table inside its header", "damaged", (data) => alter(data, "row_offset", 8), /inside the header/],
  ["with an endless table", "damaged", (data) => alter(data, "row_count", 0xffffffff), /damaged/],
  ["with rows of no size", "damaged", (data) => alter(data, "row_size", 0), /damaged/],
];

function alter(data: Uint8Array, field: string, value: number): Uint8Array {
  put(new DataView(data.buffer), abi.telemetry.offsets.get(field) ?? Number.NaN, 4, value);
  return data;
}

for (const [what, fault, break_, message] of damage) {
  test(`a file ${what} is refused with the cause`, () => {
    assert.throws(
      () => decodeTelemetry(break_(wellFormed()), "file.tel"),
      (error: unknown) =>
        error instanceof TelemetryError &&
        error.fault === fault &&
        message.test(error.message) &&
        /file\.tel/.test(error.message),
    );
  });
}

test("random bytes behind a good magic number never crash the reader", () => {
  let seed = 1;
  const random = (): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed >>> 24;
  };
  for (let round = 0; round < 200; ++round) {
    const data = new Uint8Array(4096).map(() => random());
    const view = new DataView(data.buffer);
    put(view, 0, 8, abi.TELEMETRY_MAGIC);
    put(view, 8, 4, abi.ABI_MAJOR);
    try {
      decodeTelemetry(data);
    } catch (error) {
      assert.ok(error instanceof TelemetryError, String(error));
    }
  }
});
