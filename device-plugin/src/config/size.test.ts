import assert from "node:assert/strict";
import test from "node:test";
import { bytesOf, formatBytes, parseSize } from "./size.ts";

test("sizes are bytes, or shares of at most a whole card to a tenth of a percent", () => {
  assert.deepEqual(parseSize("24GiB"), { bytes: 24n << 30n });
  assert.deepEqual(parseSize("4%"), { permille: 40 });
  assert.deepEqual(parseSize("2.54%"), { permille: 25 });
  assert.deepEqual(parseSize("100%"), { permille: 1000 });
  for (const text of ["101%", "24G", "2Ti"]) assert.equal(parseSize(text), undefined, text);
});

test("a share is of the whole, rounded down", () => {
  assert.equal(bytesOf({ permille: 40 }, 1001n), 40n);
  assert.equal(bytesOf({ bytes: 7n }, 1001n), 7n);
  assert.equal(formatBytes(3n << 29n), "1.5 GiB");
});
