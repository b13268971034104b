import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { helpText, settingsTable } from "./help.ts";
import { ConfigError, loadConfig } from "./load.ts";
import { type Config, settings } from "./schema.ts";

function load(words: string[], file = ""): Config {
  const result = loadConfig(words, () => file);
  assert.ok("config" in result);
  return result.config;
}

function refusal(words: string[], file = ""): string {
  try {
    load(words, file);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message;
  }
  assert.fail(`${words.join(" ")} was taken`);
}

test("with nothing said the defaults hold", () => {
  const config = load([]);
  assert.equal(config.expansion, 1.5);
  assert.deepEqual(config.reserve, { permille: 40 });
  assert.deepEqual(config.ignoredXids, [13, 31, 43, 45, 68, 109]);
  assert.equal(config.maxTemperature, undefined);
});

test("the file is read, and flags win over it", () => {
  const file = "expansion: 2\nreserve: 1073741824\nignoredXids: [13]\nguardSeconds: 5\n";
  const config = load(["--config", "/etc/agent.yaml", "--expansion", "3", "--ignored-xids=31, 43"], file);
  assert.equal(config.expansion, 3);
  assert.deepEqual(config.reserve, { bytes: 2n ** 30n });
  assert.deepEqual(config.ignoredXids, [31, 43]);
  assert.equal(config.guardSeconds, 5);
  assert.deepEqual(load(["--ignored-xids="]).ignoredXids, []);
});

test("an error names the flag, the value and what is allowed; all errors come at once", () => {
  assert.equal(refusal(["--expansion", "9"]), "--expansion: 9 is not allowed; allowed: a number from 1 to 8");
  assert.equal(refusal(["--expansion", "much"]), '--expansion: "much" is not allowed; allowed: a number from 1 to 8');
  assert.equal(refusal(["--mode", "fast"]), '--mode: "fast" is not allowed; allowed: full, hold, off');
  const several = refusal(["--reserve", "lots", "--host-folder", "here", "--listen", "port"]).split("\n");
  assert.equal(several.length, 3);
  assert.match(several[0] ?? "", /^--reserve: "lots" is not allowed; allowed: a size such as 2GiB.* or a share/);
  assert.match(several[1] ?? "", /^--host-folder: "here" is not allowed; allowed: an absolute path$/);
  assert.match(several[2] ?? "", /^--listen: "port" is not allowed; allowed: an address and port/);
});

test("an error in the file names the key and the file", () => {
  const words = ["--config", "/etc/agent.yaml"];
  assert.match(refusal(words, "expansion: 0.5"), /^expansion in \/etc\/agent.yaml: 0.5 is not allowed/);
  assert.match(refusal(words, "expanson: 2"), /^expanson: unknown setting in \/etc\/agent.yaml; settings are listed/);
  assert.match(refusal(words, "- 1"), /settings by name are wanted/);
  assert.match(refusal(words, "a: [1"), /not YAML/);
  assert.match(refusal(words, "ignoredXids: [13, x]"), /^ignoredXids in .*: "x" is not allowed; allowed: a list, each/);
  assert.match(
    refusal(["--config", "/nowhere/agent.yaml", "--expansion", "2"].slice(0, 2), "hostLimit: 4%"),
    /^hostLimit/,
  );
  assert.throws(
    () => loadConfig(["--config", "/nowhere/agent.yaml"]),
    /--config \/nowhere\/agent.yaml: cannot be read: ENOENT/,
  );
});

test("flags that do not exist, lack their value or go against each other are refused", () => {
  assert.match(refusal(["--expanson", "2"]), /'--expanson'.*--help/);
  assert.match(refusal(["--expansion"]), /--expansion.*argument missing/);
  assert.match(refusal(["stray"]), /stray/);
  assert.match(refusal(["--driver-folder", "/usr/lib"]), /not allowed with --gpu-access nvidia-variables/);
  assert.match(
    refusal(["--release-seconds", "60", "--most-release-seconds", "30"]),
    /allowed: at least --release-seconds/,
  );
});

test("help lists every setting with what is allowed and its default", () => {
  assert.deepEqual(loadConfig(["--help"]), { show: "help" });
  assert.deepEqual(loadConfig(["--version"]), { show: "version" });
  const text = helpText();
  for (const { flag, allowed, fallback, meaning } of settings()) {
    assert.ok(meaning !== "" && allowed !== "" && allowed !== "a number from undefined to undefined", flag);
    assert.ok(text.includes(`${flag} VALUE\n      ${meaning}\n      ${allowed}`), flag);
    if (fallback !== "") assert.ok(text.includes(`(default: ${fallback})`), flag);
  }
});

test("every default is allowed as a flag", () => {
  const words = settings().flatMap(({ flag, fallback }) => (fallback === "" ? [] : [`${flag}=${fallback}`]));
  assert.deepEqual(load(words), load([]));
});

test("the reference has every setting as the schema has it", () => {
  const reference = readFileSync(join(import.meta.dirname, "../../../docs/reference/agent.md"), "utf8");
  assert.ok(reference.includes(settingsTable()), "docs/reference/agent.md is not up to date: run make generate");
});
