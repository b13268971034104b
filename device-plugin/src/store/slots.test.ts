import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { diskFiles } from "./files.ts";
import { Slots, seat } from "./slots.ts";

const card = (uuid: string, wish: number) => ({ uuid, name: "H200", physical: 141n << 30n, wish });

test("cards get the numbers that NVML has for them, and keep them when one goes missing", () => {
  const first = seat([], [card("A", 0), card("B", 1), card("C", 2)]);
  assert.deepEqual(
    first.map(({ uuid, slot }) => [uuid, slot]),
    [
      ["A", 0],
      ["B", 1],
      ["C", 2],
    ],
  );
  const second = seat(first, [card("A", 0), card("C", 1)]);
  assert.deepEqual(
    second.map(({ uuid, slot }) => [uuid, slot]),
    [
      ["A", 0],
      ["B", 1],
      ["C", 2],
    ],
  );
});

test("a card in the place of another gets a number of its own", () => {
  const before = seat([], [card("A", 0), card("B", 1)]);
  const after = seat(before, [card("X", 0), card("B", 1), card("Y", 2)]);
  assert.deepEqual(
    after.map(({ uuid, slot }) => [uuid, slot]),
    [
      ["A", 0],
      ["B", 1],
      ["X", 2],
      ["Y", 3],
    ],
  );
});

test("numbers are kept on disk; a damaged file is named", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "loretoken-slots-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const slots = new Slots(folder, diskFiles);
  assert.deepEqual(await slots.load(), []);
  const seated = seat([], [card("A", 3), card("B", 1)]);
  await slots.save(seated);
  assert.deepEqual(
    (await slots.load()).sort((a, b) => a.slot - b.slot),
    seated,
  );
  writeFileSync(join(folder, "gpus.json"), "{");
  await assert.rejects(slots.load(), /gpus.json is damaged: .*; if no container holds GPU memory here, remove it/);
});
