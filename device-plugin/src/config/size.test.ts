import assert from "node:assert/strict";
import test from "node:test";
import { bytesOf, formatBytes, parseSize } from "./size.ts";

test("sizes are read as people write them", () => {
  const cases: [string, bigint][] = [
    ["0", 0n],
    ["4096", 4096n],
    ["4096B", 4096n],
    ["24GiB", 24n << 30n],
    ["24 gib", 24n << 30n],
    ["24GB", 24_000_000_000n],
    ["1.5MiB", 3n << 19n],
    ["2Ti", 2n << 40n],
  ];
  for (const [text, bytes] of cases) assert.deepEqual(parseSize(text), { bytes }, text);
  assert.deepEqual(parseSize("4%"), { permille: 40 });
  assert.deepEqual(parseSize("2.5%"), { permille: 25 });
});

test("what is no size is none", () => {
  for (const text of ["", "GiB", "-1", "1.GiB", "5xb", "1iB", "101%", "1e9", "99999999TiB", "4 %%"]) {
    assert.equal(parseSize(text), undefined, text);
  }
});

test("a share is of the whole, rounded down", () => {
  assert.equal(bytesOf({ permille: 40 }, 1001n), 40n);
  assert.equal(bytesOf({ bytes: 7n }, 1001n), 7n);
  assert.equal(formatBytes(3n << 29n), "1.5 GiB");
});
