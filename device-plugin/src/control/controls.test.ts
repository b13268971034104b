import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { readControl } from "@loretoken/telemetry/control";
import { loadConfig } from "../config/load.ts";
import { GiB, holdingOf, unitsOf, uuidOf } from "../testing/fixtures.ts";
import { recordingLog } from "../testing/log.ts";
import { policyBlock } from "./block.ts";
import { Controls, controlWriters } from "./controls.ts";

function policyOf(words: string[]) {
  const loaded = loadConfig(words);
  assert.ok("config" in loaded);
  return policyBlock(loaded.config);
}

function setUp(t: TestContext, words: string[] = []) {
  const folder = mkdtempSync(join(tmpdir(), "loretoken-control-"));
  let beats = 100n;
  const log = recordingLog();
  const monotonic = (): bigint => {
    beats += 1n;
    return beats;
  };
  const controls = new Controls({ defaults: policyOf(words), writers: controlWriters, log, monotonic });
  t.after(() => {
    controls.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const path = join(folder, "control");
  return { folder, path, controls, log, holding: holdingOf("a", unitsOf(1, 0, 4), { control: path }) };
}

test("a new file has the settings, the shares and a sign of life", (t) => {
  const { controls, holding, path } = setUp(t, [
    "--max-penalty-percent",
    "2.5",
    "--host-limit",
    "1GiB",
    "--max-power-percent",
    "95",
  ]);
  controls.create(holding, path);
  const block = readControl(path);
  assert.deepEqual(
    [block.mode, block.verify, block.integrity, block.integrityThreshold, block.maxPenaltyPermille],
    ["full", "always", "fail", 1, 25],
  );
  assert.deepEqual([block.hostLimit, block.maxPowerPermille, block.maxTemperature], [GiB, 950, undefined]);
  assert.equal(block.heartbeat, 101n);
  assert.deepEqual(block.devices, [{ uuid: uuidOf(1), limit: holding.guaranteed, virtualSize: 4n * GiB, backoff: 0 }]);
});

test("heat is limited in degrees, or by the margin where only that is set", () => {
  assert.deepEqual(policyOf(["--max-temperature", "85"]).maxTemperature, { milliCelsius: 85_000 });
  assert.deepEqual(policyOf(["--min-temperature-margin", "5"]).maxTemperature, { marginMilliCelsius: 5000 });
  assert.deepEqual(policyOf(["--max-temperature", "85", "--min-temperature-margin", "5"]).maxTemperature, {
    milliCelsius: 85_000,
  });
});

test("a verdict reaches the files of its GPU, after their folder was moved too, and leaves them", (t) => {
  const { controls, holding, folder, path } = setUp(t);
  mkdirSync(join(folder, "new"));
  controls.create(holding, join(folder, "new/control"));
  renameSync(join(folder, "new/control"), path);
  const other = holdingOf("b", unitsOf(0, 0, 1), { control: join(folder, "other") });
  controls.create(other, other.control);
  controls.setVerdict(uuidOf(1), { mode: "hold", guard: "thermal", figure: 91_000, limit: 85_000, backoff: 1 });
  controls.writeAll([holding, other]);
  const [device] = readControl(path).devices;
  assert.deepEqual(device?.verdict, { mode: "hold", guard: "thermal", figure: 91_000, limit: 85_000 });
  assert.equal(device?.backoff, 1);
  assert.equal(readControl(other.control).devices[0]?.verdict, undefined);
  controls.setVerdict(uuidOf(1), undefined);
  controls.writeAll([holding, other]);
  assert.equal(readControl(path).devices[0]?.verdict, undefined);
});

test("a file of before is written on in place; one that is damaged or missing is made anew and told", (t) => {
  const { controls, holding, path, log } = setUp(t);
  controls.create(holding, path);
  controls.forget("a");
  const before = statSync(path).ino;
  controls.adopt(holding);
  controls.writeAll([holding]);
  assert.equal(statSync(path).ino, before);
  assert.equal(readControl(path).heartbeat, 102n);
  assert.deepEqual(log.messages, []);
  writeFileSync(path, "damaged");
  controls.adopt(holding);
  assert.equal(readControl(path).devices[0]?.uuid, uuidOf(1));
  rmSync(path);
  controls.adopt(holding);
  assert.equal(readControl(path).devices[0]?.uuid, uuidOf(1));
  assert.deepEqual(log.messages, ["control file made anew", "control file made anew"]);
});

test("what has not changed is not written again: only the heartbeat is, until something changes", (t) => {
  const { folder, log } = setUp(t);
  const done: string[] = [];
  const writer = {
    write: () => void done.push("write"),
    beat: (at: bigint) => void done.push(`beat ${at}`),
    read: () => assert.fail(),
    close() {},
  };
  const writers = { create: () => writer, open: () => writer };
  let now = 0n;
  const controls = new Controls({ defaults: {}, writers, log, monotonic: () => ++now });
  const holding = holdingOf("a", unitsOf(0, 0, 1));
  controls.create(holding, join(folder, "a"));
  const round = (changed = holding): string[] => {
    controls.writeAll([changed]);
    return done.splice(0);
  };
  assert.deepEqual(round(), ["write"]);
  now = 7n;
  assert.deepEqual([round(), round()], [["beat 8"], ["beat 9"]]);
  controls.setVerdict(uuidOf(0), { mode: "hold", guard: "thermal", figure: 91_000, limit: 85_000, backoff: 1 });
  assert.deepEqual([round(), round()[0]?.slice(0, 4)], [["write"], "beat"]);
  controls.defaults = { mode: "off" };
  assert.deepEqual(round(), ["write"]);
  assert.deepEqual(round({ ...holding, guaranteed: 1n }), ["write"]);
  controls.forget("a");
  controls.adopt(holding);
  assert.deepEqual(round(), ["write"], "a file of before may say anything");
});

test("a container has its own policy until that is taken back; the defaults are the others'", (t) => {
  const { controls, holding, folder, path } = setUp(t);
  const other = holdingOf("b", unitsOf(0, 0, 1), { control: join(folder, "other") });
  controls.create(holding, path);
  controls.create(other, other.control);
  controls.setPolicy("a", { mode: "hold", policyGeneration: 7 });
  controls.writeAll([holding, other]);
  const states = () =>
    [path, other.control].map((file) => [readControl(file).mode, readControl(file).policyGeneration]);
  assert.deepEqual(states(), [
    ["hold", 7],
    ["full", 0],
  ]);
  controls.defaults = { mode: "off" };
  controls.writeAll([holding, other]);
  assert.deepEqual(states(), [
    ["hold", 7],
    ["off", 0],
  ]);
  controls.setPolicy("a", undefined);
  controls.writeAll([holding, other]);
  assert.deepEqual(states(), [
    ["off", 0],
    ["off", 0],
  ]);
});

test("where policies follow, a file of before keeps its policy until then, also when it is made anew", (t) => {
  const { controls, holding, path, log } = setUp(t);
  controls.create(holding, path);
  controls.setPolicy("a", { mode: "hold", policyGeneration: 7, hostLimit: GiB });
  controls.writeAll([holding]);
  const options = { defaults: { mode: "off" as const }, writers: controlWriters, log, monotonic: () => 1n };
  const without = new Controls(options);
  const following = new Controls({ ...options, policiesFollow: true });
  t.after(() => [without, following].forEach((each) => void each.close()));
  following.adopt(holding);
  following.writeAll([holding]);
  assert.deepEqual([readControl(path).mode, readControl(path).policyGeneration], ["hold", 7]);
  assert.equal(readControl(path).hostLimit, GiB);
  rmSync(path);
  following.ensure(holding);
  assert.equal(readControl(path).mode, "hold");
  without.adopt(holding);
  without.writeAll([holding]);
  assert.equal(readControl(path).mode, "off");
});

test("a file that cannot be written hinders no other", (t) => {
  const { folder, log } = setUp(t);
  const written: string[] = [];
  const writers = {
    create: (path: string) => ({
      write: () => {
        if (path.endsWith("bad")) throw new Error("ENOSPC");
        written.push(path);
      },
      beat: () => assert.fail(),
      read: () => assert.fail(),
      close: () => undefined,
    }),
    open: () => assert.fail(),
  };
  const controls = new Controls({ defaults: {}, writers, log, monotonic: () => 1n });
  const [bad, good] = ["bad", "good"].map((id) => holdingOf(id, unitsOf(0, 0, 1)));
  assert.ok(bad && good);
  for (const holding of [bad, good]) controls.create(holding, join(folder, holding.id));
  controls.writeAll([bad, good]);
  assert.deepEqual(written, [join(folder, "good")]);
  assert.deepEqual(log.messages, ["control file not written"]);
});
