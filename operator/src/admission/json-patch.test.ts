import assert from "node:assert/strict";
import test from "node:test";
import jsonPatch, { type Operation } from "fast-json-patch";
import { pick, type Random, randomFrom } from "../../../lib/api/src/testing/random.ts";
import { diff } from "./json-patch.ts";

const keys = ["a", "loretoken.dev/vram", "a~b", "~1", "/", "", "0", "-", "toString"];

function randomValue(random: Random, depth = 0): unknown {
  const kind = depth > 3 ? random() * 0.5 : random();
  if (kind < 0.5) return pick(random, [0, 1, "", "x", "y/z", null, true, false]);
  const size = Math.floor(random() * 4);
  if (kind < 0.7) return Array.from({ length: size }, () => randomValue(random, depth + 1));
  return Object.fromEntries(Array.from({ length: size }, () => [pick(random, keys), randomValue(random, depth + 1)]));
}

/** Another library's reading of the patch. */
function applied(before: unknown, after: unknown): unknown {
  const operations = JSON.parse(JSON.stringify(diff(before, after))) as Operation[];
  return jsonPatch.applyPatch(structuredClone(before), operations, true).newDocument;
}

test("what another library makes of a patch is what was wanted", () => {
  const random = randomFrom(20261128);
  for (let round = 0; round < 3000; ++round) {
    const [before, after] = [{ v: randomValue(random) }, { v: randomValue(random) }];
    assert.deepEqual(applied(before, after), after, JSON.stringify([before, after]));
    assert.deepEqual(diff(before, structuredClone(before)), []);
  }
});

test("keys with slashes and tildes are escaped", () => {
  assert.deepEqual(diff({}, { "loretoken.dev/a~b": 1 }), [{ op: "add", path: "/loretoken.dev~1a~0b", value: 1 }]);
  assert.deepEqual(diff({ "a/b": 1 }, {}), [{ op: "remove", path: "/a~1b" }]);
});

test("only what differs is named", () => {
  const before = { list: [{ name: "a", env: [1] }, { name: "b" }] };
  const after = {
    list: [
      { name: "a", env: [1, 2] },
      { name: "b", more: {} },
    ],
  };
  assert.deepEqual(diff(before, after), [
    { op: "add", path: "/list/0/env/-", value: 2 },
    { op: "add", path: "/list/1/more", value: {} },
  ]);
});
