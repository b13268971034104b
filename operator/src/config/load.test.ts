import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { ConfigError, helpText, settingsOf, settingsTable } from "@loretoken/service";
import { loadConfig, program } from "./load.ts";
import { type Config, configSchema } from "./schema.ts";

function load(words: string[], file = ""): Config {
  const line = loadConfig(words, () => file);
  assert.ok("config" in line);
  return line.config;
}

function refusal(...words: string[]): string {
  try {
    load(words);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message;
  }
  assert.fail("taken");
}

test("with nothing said: own certificates, leaves of a week, an authority of a year", () => {
  const { certificates, leafLifeSeconds, authorityLifeSeconds, replaceGpu, certificateNames } = load([]);
  assert.deepEqual(
    [certificates, leafLifeSeconds, authorityLifeSeconds, replaceGpu, certificateNames],
    ["own", 604_800, 31_536_000, "annotation", []],
  );
});

test("file and flags, which win", () => {
  const file = "leafLifeSeconds: 3600\ncertificateNames: [a.example]\n";
  const config = load(["--config=f", "--leaf-life-seconds=7200", "--certificate-names=127.0.0.1, ::1"], file);
  assert.deepEqual([config.leafLifeSeconds, config.certificateNames], [7200, ["127.0.0.1", "::1"]]);
});

test("what one field alone does not show is refused with what is allowed", () => {
  assert.match(refusal("--certificates=mounted"), /^--certificate-folder: nothing is not allowed .* allowed: a path$/);
  assert.match(refusal("--certificate-folder=/x"), /not allowed with --certificates own; allowed: with mounted$/);
  assert.equal(
    refusal("--authority-life-seconds=900", "--leaf-life-seconds=301"),
    "--leaf-life-seconds: 301 is not allowed; allowed: at most 300, a third of --authority-life-seconds",
  );
  assert.match(
    refusal("--authority-life-seconds=90", "--leaf-life-seconds=30", "--settle-seconds=16"),
    /^--settle-seconds: 16 .* at most 15/,
  );
  assert.match(refusal("--leaf-life-seconds=10"), /^--check-seconds: 5 is not allowed; allowed: at most 1.66/);
  assert.match(refusal("--secret=A B"), /^--secret: "A B" is not allowed; allowed: the name of a Kubernetes object$/);
});

test("help and reference have every setting", () => {
  const reference = readFileSync(join(import.meta.dirname, "../../../docs/reference/operator.md"), "utf8");
  assert.ok(reference.includes(settingsTable(configSchema)));
  for (const { flag, allowed } of settingsOf(configSchema)) {
    assert.ok(helpText(program).includes(`  ${flag} VALUE\n`), flag);
    assert.ok(allowed !== "a text", flag);
  }
});
