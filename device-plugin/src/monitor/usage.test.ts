import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { GiB, holdingOf, unitsOf } from "../testing/fixtures.ts";
import { keepSize } from "./telemetry-size.ts";
import { ownUse, Strangers } from "./usage.ts";
import { withFile } from "./with-file.ts";

test("a container counts for no more than it was promised, and its contexts", () => {
  const holding = holdingOf("a", unitsOf(0, 0, 1), { guaranteed: GiB });
  assert.equal(ownUse(holding, { processes: 2, charged: 99n * GiB }, 100n), GiB + 200n);
  assert.equal(ownUse(holding, { processes: 1, charged: 5n }, 100n), 105n);
});

test("strangers are who stays", () => {
  const strangers = new Strangers();
  assert.equal(strangers.look("A", 10n, 0n), 0n);
  assert.equal(strangers.look("A", 10n, 0n), 0n);
  assert.equal(strangers.look("A", 12n, 0n), 10n);
  assert.equal(strangers.look("A", 12n, 12n), 0n, "one look without them and they were none");
  assert.equal(strangers.look("A", 12n, 5n), 0n);
  assert.equal(strangers.look("A", 12n, 5n), 0n);
  assert.equal(strangers.look("A", 9n, 5n), 4n);
  assert.equal(strangers.look("A", 3n, 5n), 0n, "never less than nothing");
  assert.equal(strangers.look("B", 10n, 0n), 0n);
});

test("a telemetry file is put back to its size, its contents kept", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "loretoken-usage-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "telemetry");
  const kept = (): string => {
    withFile(path, (file) => keepSize(file, statSync(path).size, 8));
    return readFileSync(path, "utf8");
  };
  writeFileSync(path, "12345678");
  assert.equal(kept(), "12345678");
  writeFileSync(path, "123456789012");
  assert.equal(kept(), "12345678");
  truncateSync(path, 3);
  assert.equal(kept(), "123\0\0\0\0\0");
});
