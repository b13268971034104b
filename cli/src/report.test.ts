import assert from "node:assert/strict";
import test from "node:test";
import { type Row, row, type Telemetry } from "@loretoken/telemetry";
import { bar, renderReport } from "./report.ts";

const zero: Row = row.read(new DataView(new ArrayBuffer(row.size)), 0);

function telemetry(...rows: Partial<Row>[]): Telemetry {
  return {
    header: {} as Telemetry["header"],
    processes: [],
    rows: rows.map((fields) => ({ ...zero, pid: 7, ...fields })),
    events: [],
  };
}

function places(entries: Record<number, number>): number[] {
  return Array.from({ length: 16 }, (_, index) => entries[index] ?? 0);
}

const busy: Partial<Row> = {
  allocations: 10,
  launches: 100,
  slow_launches: 5,
  live_peak: 4 * 2 ** 30,
  raw_peak: 2 ** 30,
  packed_peak: 2 ** 29,
  host_peak: 0,
  held_peak: 2 * 2 ** 30,
  limit: 2 * 2 ** 30,
  packs: 3,
  unpacks: 2,
  drops: 1,
  wait_ns: 500_000_000,
  codec_in: places({ 2: 300, 3: 100 }),
  codec_out: places({ 2: 100, 3: 100 }),
  pins: places({ 4: 2 }),
};

test("figures come out in a person's units, with what they mean", () => {
  const text = renderReport(telemetry(busy), 10);
  assert.match(text, /device 0, process 7, 10\.0 s/);
  assert.match(text, /expansion {1,3}2\.00 x \(4\.0 GiB of tensors in 2\.0 GiB of the card\)/);
  assert.match(text, /ratio +2\.00 \(400 B packed to 200 B; zero_run 75 %, exponent_bf16 25 %\)/);
  assert.match(text, /moves +3 packed, 2 unpacked, 1 released unchanged/);
  assert.match(text, /waited +0\.500 s \(5\.0 % of the time\), 5 of 100 launches/);
  assert.match(text, /pins +2 texture \(a texture or surface refers to it\)/);
  assert.match(text, /mode +full/);
  assert.doesNotMatch(text, /trouble/);
});

test("bars are to one scale: the largest figure fills the width", () => {
  const lines = renderReport(telemetry(busy), 10).split("\n");
  const length = (name: string): number =>
    /[█▓▒·]+$/.exec(lines.find((l) => l.startsWith(name)) ?? "")?.[0].length ?? 0;
  assert.equal(length("live"), 40);
  assert.equal(length("raw"), 10);
  assert.equal(length("packed"), 5);
  assert.equal(length("host"), 0);
  assert.equal(bar(0.0001), "█", "something is never shown as nothing");
});

test("lost bytes and mode changes are not hidden", () => {
  const text = renderReport(
    telemetry({ ...busy, mode: 2, mode_cause: "kernels did not load", checksum_failures: 4 }),
    1,
  );
  assert.match(text, /mode +off: kernels did not load/);
  assert.match(text, /trouble +4 blocks with a wrong checksum/);
});

test("each process and device has its block; idle rows have none", () => {
  const text = renderReport(telemetry(busy, { ...busy, device: 1 }, {}), 1);
  assert.equal(text.match(/^loretoken: device/gm)?.length, 2);
});

test("a program that used no GPU gets a sentence, not an empty table", () => {
  assert.match(renderReport(telemetry(), 1), /nothing to report/);
});
