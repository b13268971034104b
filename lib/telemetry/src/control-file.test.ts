import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, truncateSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import test, { type TestContext } from "node:test";
import { setImmediate } from "node:timers/promises";
import { ZodError } from "zod";
import { control } from "./abi.ts";
import { ControlError, ControlFile, readControl } from "./control.ts";
import { type ControlInput, controlBlock } from "./control-block.ts";

const uuids = Array.from(
  { length: 16 },
  (_, index) => `GPU-00000000-0000-0000-0000-${`${index + 1}`.padStart(12, "0")}`,
);
const uuid = uuids[0] ?? "";

function folder(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "control-"));
  context.after(() => rmSync(path, { recursive: true }));
  return path;
}

function poke(path: string, at: number, value: bigint): void {
  const data = new Uint8Array(8);
  new DataView(data.buffer).setBigUint64(0, value, true);
  const file = openSync(path, "r+");
  writeSync(file, data, 0, 8, at);
  closeSync(file);
}

const sequenceOf = (path: string): bigint => readFileSync(path).readBigUInt64LE(control.offsets.get("sequence") ?? 0);

const everything: ControlInput = {
  policyGeneration: 7,
  mode: "hold",
  verify: "sample",
  integrity: "passthrough",
  integrityThreshold: 3,
  integrityWindowSeconds: 60,
  maxPenaltyPermille: 50,
  penaltyWindowMilliseconds: 5000,
  codecs: ["constant", "pattern"],
  hostLimit: 0n,
  maxTemperature: { marginMilliCelsius: 5000 },
  maxPowerMilliwatts: 600_000,
  maxPowerPermille: 950,
  pointerSafety: "strict",
  heartbeat: 123_456_789_012_345_678n,
  devices: [
    {
      uuid,
      limit: 24n << 30n,
      virtualSize: 40n << 30n,
      verdict: { mode: "hold", guard: "thermal", figure: -3000, limit: -5000 },
      backoff: 2,
    },
    { uuid: uuids[1] ?? "" },
  ],
};

test("what is written is what is read, every field, and what was left out", (context) => {
  const path = join(folder(context), "control");
  const file = ControlFile.create(path, everything);
  assert.deepEqual(readControl(path), controlBlock.parse(everything));
  file.write({});
  assert.deepEqual(file.read(), controlBlock.parse({}));
  file.close();
});

test("the file can be read by everyone and written by its owner, whatever the umask", (context) => {
  const path = join(folder(context), "control");
  const umask = process.umask(0o077);
  context.after(() => process.umask(umask));
  ControlFile.create(path, {}).close();
  assert.equal(statSync(path).mode & 0o777, 0o644);
});

test("an existing file is never replaced: a container may have it mapped", (context) => {
  const path = join(folder(context), "control");
  ControlFile.create(path, everything).close();
  const inode = statSync(path).ino;
  assert.throws(() => ControlFile.create(path, {}), /is there already/);
  const file = ControlFile.open(path);
  file.write({ mode: "off" });
  file.close();
  assert.equal(statSync(path).ino, inode);
  assert.equal(readControl(path).mode, "off");
});

test("a block that is not valid changes nothing, and the error names the field", (context) => {
  const path = join(folder(context), "control");
  const file = ControlFile.create(path, everything);
  const before = readFileSync(path);
  for (const [wrong, field] of [
    [{ maxPenaltyPermille: 1001 }, "maxPenaltyPermille"],
    [{ devices: [{ uuid: "0" }] }, "uuid"],
    [{ devices: Array.from({ length: 17 }, () => ({ uuid })) }, "devices"],
    [{ hostlimit: 1n }, "hostlimit"],
  ] as [ControlInput, string][]) {
    assert.throws(
      () => file.write(wrong),
      (error) => error instanceof ZodError && error.message.includes(field),
    );
  }
  assert.deepEqual(readFileSync(path), before);
  file.close();
});

test("a writer that died in the middle: readers give up in bounded time, the next writer completes it", (context) => {
  const path = join(folder(context), "control");
  ControlFile.create(path, everything).close();
  poke(path, control.offsets.get("sequence") ?? 0, 41n);
  const start = performance.now();
  assert.throws(() => readControl(path), /in the middle of a write/);
  assert.ok(performance.now() - start < 1000);
  const file = ControlFile.open(path);
  file.write({ mode: "off" });
  file.close();
  assert.equal(sequenceOf(path), 42n);
  assert.equal(readControl(path).mode, "off");
});

test("the sequence grows by two with each write and survives its end", (context) => {
  const path = join(folder(context), "control");
  const file = ControlFile.create(path, {});
  file.write({});
  assert.equal(sequenceOf(path), 4n);
  file.close();
  poke(path, control.offsets.get("sequence") ?? 0, 0xffff_ffff_ffff_fffen);
  const again = ControlFile.open(path);
  again.write({ mode: "hold" });
  again.close();
  assert.equal(sequenceOf(path), 0n);
  assert.equal(readControl(path).mode, "hold");
});

test("a sign of life changes the heartbeat, the sequence, and nothing else", (context) => {
  const path = join(folder(context), "control");
  const file = ControlFile.create(path, everything);
  const before = readFileSync(path);
  file.beat(77n);
  assert.deepEqual(readControl(path), { ...controlBlock.parse(everything), heartbeat: 77n });
  assert.equal(sequenceOf(path), 4n);
  const after = readFileSync(path);
  const differs = [...before.keys()].filter((at) => before[at] !== after[at]);
  const field = (name: string): number => control.offsets.get(name) ?? 0;
  const within = (at: number, name: string): boolean => at >= field(name) && at < field(name) + 8;
  assert.ok(differs.every((at) => within(at, "sequence") || within(at, "heartbeat_ns")));
  file.close();
});

const damage: [string, (path: string) => void, RegExp][] = [
  ["empty", (path) => truncateSync(path, 0), /cut short/],
  ["cut short", (path) => truncateSync(path, control.size - 1), /cut short/],
  ["something else", (path) => poke(path, 0, 1n), /is no control file/],
  ["another major version", (path) => poke(path, 8, 9n), /layout version 9/],
  ["of an unknown mode", (path) => poke(path, control.offsets.get("mode") ?? 0, 77n), /is damaged/],
];
for (const [what, harm, message] of damage) {
  test(`a file that is ${what} is refused with the cause`, (context) => {
    const path = join(folder(context), "control");
    ControlFile.create(path, everything).close();
    harm(path);
    assert.throws(
      () => readControl(path),
      (error) => error instanceof ControlError && message.test(error.message) && error.message.includes(path),
    );
  });
}

test("a program that reads through a mapping never takes a mixture of two blocks", {
  timeout: 60_000,
}, async (context) => {
  const path = join(folder(context), "control");
  const block = (value: number): ControlInput => ({
    policyGeneration: value,
    hostLimit: BigInt(value),
    maxPowerMilliwatts: value,
    devices: uuids.map((name) => ({ uuid: name, limit: BigInt(value) })),
  });
  const file = ControlFile.create(path, block(1));
  const reader = spawn(process.execPath, [join(import.meta.dirname, "testing/control-reader.ts"), path, "2"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines: string[] = [];
  createInterface({ input: reader.stdout }).on("line", (line) => lines.push(line));
  const closed = once(reader, "close");
  for (let value = 2; reader.exitCode === null; ++value) {
    file.write(block(value));
    if (value % 16 === 0) await setImmediate();
  }
  await closed;
  file.close();
  const counts = JSON.parse(lines[1] ?? "{}") as { whole: number; exposed: number; torn: number; values: number };
  assert.equal(counts.torn, 0);
  assert.ok(counts.values > 100, `too few blocks were met to tell: ${lines[1]}`);
  assert.ok(counts.exposed > 0, `no mixture was ever there to be taken: ${lines[1]}`);
});
