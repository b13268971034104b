import assert from "node:assert/strict";
import test from "node:test";
import { UsageError } from "./errors.ts";
import { parseRunOptions } from "./options.ts";

test("options become settings; the program's own words stay untouched", () => {
  const words = ["--limit", "24GiB", "--virtual=48GiB", "--host", "0", "--check", "--report", "--gpu", "sim:1GiB,2GiB"];
  assert.deepEqual(parseRunOptions([...words, "--", "python", "train.py", "--limit", "--", "-h"]), {
    settings: {
      LORETOKEN_LIMIT: "24GiB",
      LORETOKEN_VIRTUAL: "48GiB",
      LORETOKEN_HOST: "0",
      LORETOKEN_CHECK: "strict",
    },
    gpu: { kind: "simulated", devices: "1GiB,2GiB" },
    report: true,
    program: ["python", "train.py", "--limit", "--", "-h"],
  });
});

test("-- may be left out where the program's name comes next", () => {
  const options = parseRunOptions(["--report", "nvidia-smi", "--limit"]);
  assert.ok(options !== "help");
  assert.deepEqual(options.program, ["nvidia-smi", "--limit"]);
});

test("help is for us only before --", () => {
  assert.equal(parseRunOptions(["--help"]), "help");
  assert.equal(parseRunOptions(["--limit", "1GiB", "-h"]), "help");
  assert.notEqual(parseRunOptions(["--", "program", "--help"]), "help");
});

const refused: [string[], RegExp][] = [
  [["--limit"], /--limit needs a value/],
  [["--limit", "--", "program"], /--limit needs a value/],
  [["--limit", "24G", "--", "program"], /--limit 24G: not a size/],
  [["--limit=", "program"], /--limit "": not a size/],
  [["--check=yes", "program"], /--check takes no value/],
  [["--limits", "1GiB", "--", "program"], /unknown option --limits/],
  [["-x", "--", "program"], /unknown option -x/],
  [["--limit", "2GiB"], /no program to run/],
  [["--limit", "2GiB", "--"], /no program to run/],
  [["--limit", "1MiB", "--", "program"], /less than 64 MiB/],
  [["--limit", "48GiB", "--virtual", "24GiB", "--", "program"], /--virtual 24GiB is below --limit 48GiB/],
  [["--gpu", "first", "--", "program"], /neither a card nor a simulated one/],
  [["--gpu", "sim:", "--", "program"], /--gpu sim: "": not a size/],
  [["--gpu", "sim:1GiB,", "--", "program"], /not a size/],
  [["--gpu", "sim:1KiB", "--", "program"], /at least 64 MiB/],
];

for (const [words, message] of refused) {
  test(`refused with the cause: ${words.join(" ")}`, () => {
    assert.throws(
      () => parseRunOptions(words),
      (error: unknown) => error instanceof UsageError && message.test(error.message),
    );
  });
}

test("a card is an index, a list of them or a UUID", () => {
  for (const visible of ["0", "0,1", "GPU-8f2b1c3d-0000-1111-2222-333344445555"]) {
    const options = parseRunOptions(["--gpu", visible, "--", "program"]);
    assert.ok(options !== "help");
    assert.deepEqual(options.gpu, { kind: "real", visible });
  }
});
