import assert from "node:assert/strict";
import test from "node:test";
import { UsageError } from "./errors.ts";
import { formatBytes, parseBytes, parseSize } from "./size.ts";

test("units of 1024 and of 1000 are told apart, case does not matter", () => {
  assert.deepEqual(parseSize("--limit", "24GiB"), { bytes: 24 * 2 ** 30 });
  assert.deepEqual(parseSize("--limit", "24gb"), { bytes: 24e9 });
  assert.deepEqual(parseSize("--limit", "1.5 TiB"), { bytes: 1.5 * 2 ** 40 });
  assert.deepEqual(parseSize("--limit", "512MiB"), { bytes: 2 ** 29 });
  assert.deepEqual(parseSize("--limit", "4096"), { bytes: 4096 });
  assert.deepEqual(parseSize("--limit", "4096B"), { bytes: 4096 });
  assert.deepEqual(parseSize("--limit", "80%"), { percent: 80 });
});

for (const text of ["", "GiB", "24G", "24GiBs", "-1GiB", "1e9", "24 GiB extra", "0x10", "9999999TiB", "0%", "NaN"]) {
  test(`"${text}" is refused, naming the option`, () => {
    assert.throws(
      () => parseSize("--limit", text),
      (error: unknown) => error instanceof UsageError && error.message.startsWith("--limit"),
    );
  });
}

test("a share is refused where there is nothing to share", () => {
  assert.throws(() => parseBytes("--gpu sim:", "50%"), UsageError);
});

test("bytes are printed in the unit a person would choose", () => {
  assert.equal(formatBytes(0), "0 B");
  assert.equal(formatBytes(1023), "1023 B");
  assert.equal(formatBytes(24 * 2 ** 30), "24.0 GiB");
  assert.equal(formatBytes(1.5 * 2 ** 20), "1.5 MiB");
});
