import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { parseSize } from "./size.ts";

const cases = readFileSync(join(import.meta.dirname, "../../../shim/tests/size_cases.txt"), "utf8")
  .split("\n")
  .map((line) => /^"(.*)" (\S+)$/.exec(line))
  .filter((match) => match !== null)
  .map(([, text = "", expected = ""]) => ({ text, expected }));

/** As the list writes it. */
function told(text: string): string {
  const size = parseSize(text);
  if (size === undefined) return "-";
  return "bytes" in size ? String(size.bytes) : `${size.percent}%`;
}

test("sizes are read as the shim reads them", () => {
  assert.ok(cases.length > 40);
  assert.deepEqual(
    cases.map(({ text }) => ({ text, expected: told(text) })),
    cases,
  );
});
