import assert from "node:assert/strict";
import test from "node:test";
import { parseQuantity } from "./quantity.ts";

const quantities: [string, bigint][] = [
  ["0", 0n],
  ["40Gi", 40n << 30n],
  ["40G", 40_000_000_000n],
  ["1.5Gi", 3n << 29n],
  ["0.0625Gi", 64n << 20n],
  ["1Ki", 1024n],
  ["1k", 1000n],
  ["64Ti", 64n << 40n],
  ["8Ei", 8n << 60n],
  ["1E", 10n ** 18n],
  ["1e9", 10n ** 9n],
  ["1E3", 1000n],
  ["12e-1", 2n],
  ["1500m", 2n],
  ["1n", 1n],
  ["1.0001", 2n],
  [".5Gi", 1n << 29n],
  ["5.", 5n],
  ["+5", 5n],
  ["9007199254740993", 9007199254740993n],
];
for (const [text, bytes] of quantities) {
  test(`${text} is ${bytes} bytes`, () => assert.equal(parseQuantity(text), bytes));
}

for (const text of [
  "",
  "Gi",
  ".",
  "-1",
  "1 Gi",
  "1gi",
  "1GiB",
  "1K",
  "1ki",
  "1e",
  "1e3Gi",
  "1e100",
  "0x10",
  "٣",
  "1".repeat(41),
]) {
  test(`"${text}" is no quantity`, () => assert.equal(parseQuantity(text), undefined));
}
