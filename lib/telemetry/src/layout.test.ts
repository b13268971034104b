/** The mirror against the compiler (abi_layout, built by CMake) and against the text of abi.h. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import * as abi from "./abi.ts";
import type { Struct } from "./struct.ts";

const root = join(import.meta.dirname, "../../..");
const build = process.env.LORETOKEN_BUILD ?? join(root, "build/release");
const header = readFileSync(join(root, "shim/include/loretoken/abi.h"), "utf8");

type Layout = Record<string, { size: number; fields: Record<string, [number, number]> }>;

function compiledLayout(): Layout {
  const program = join(build, "bin/abi_layout");
  assert.ok(existsSync(program), `${program} is missing: run make build`);
  return JSON.parse(execFileSync(program, { encoding: "utf8" })) as Layout;
}

const mirrors: Struct<unknown>[] = [
  abi.controlDevice,
  abi.control,
  abi.processEntry,
  abi.row,
  abi.event,
  abi.telemetry,
];

for (const mirror of mirrors) {
  test(`${mirror.name}: size and offset of every field are the compiler's`, () => {
    const compiled = compiledLayout()[mirror.name];
    assert.ok(compiled, `abi_layout does not print ${mirror.name}`);
    const here = Object.fromEntries(
      [...mirror.fields].map(([name, type]) => [name, [mirror.offsets.get(name), type.size]]),
    );
    assert.deepEqual(here, compiled.fields);
    assert.equal(mirror.size, compiled.size);
  });
}

test("the compiler's list leaves out no struct and no field of abi.h", () => {
  const compiled = compiledLayout();
  const stripped = header.replaceAll(/\/\/.*/g, "");
  const structs = [...stripped.matchAll(/struct (\w+) \{([^}]*)\};/g)];
  assert.ok(structs.length >= 6);
  for (const [, name = "", body = ""] of structs) {
    const fields = body
      .split(";")
      .flatMap((declaration) => declaration.split(","))
      .map((declarator) => /(\w+)\s*(?:\[\w+\])?\s*$/.exec(declarator)?.[1])
      .filter((field) => field !== undefined);
    assert.deepEqual(Object.keys(compiled[name]?.fields ?? {}), fields, name);
  }
});

test("constants are those of abi.h", () => {
  const defined = new Map(
    [...header.matchAll(/^#define LORETOKEN_(\w+) (\w+)/gm)].map(([, name = "", value = ""]) => [
      name,
      BigInt(value.replace(/u?l*$/i, "")),
    ]),
  );
  const expected: [string, bigint | number][] = [
    ["CONTROL_MAGIC", abi.CONTROL_MAGIC],
    ["TELEMETRY_MAGIC", abi.TELEMETRY_MAGIC],
    ["ABI_MAJOR", abi.ABI_MAJOR],
    ["ABI_MINOR", abi.ABI_MINOR],
    ["MAX_DEVICES", abi.MAX_DEVICES],
    ["MAX_PROCESSES", abi.MAX_PROCESSES],
    ["MAX_ROWS", abi.MAX_ROWS],
    ["MAX_EVENTS", abi.MAX_EVENTS],
    ["PIN_REASONS", abi.PIN_REASONS],
    ["CODECS", abi.CODECS],
    ["GUARDS", abi.GUARDS],
    ...abi.modes.map((name, index): [string, number] => [`MODE_${name.toUpperCase()}`, index]),
    ...abi.codecs.map((name, index): [string, number] => [`CODEC_${name.toUpperCase()}`, index]),
    ...abi.guards.slice(1).map((name, index): [string, number] => [`GUARD_${name.toUpperCase()}`, index + 1]),
  ];
  for (const [name, value] of expected) assert.equal(defined.get(name), BigInt(value), `LORETOKEN_${name}`);
  const listed = new Set(expected.map(([name]) => name));
  assert.deepEqual(
    [...defined.keys()].filter((name) => !listed.has(name)),
    [],
    "constants of abi.h that the mirror lacks",
  );
});

test("pin reasons are in the order of enum Pin", () => {
  const source = readFileSync(join(root, "shim/src/memory/unit.h"), "utf8");
  const body = /enum class Pin[^{]*\{([^}]*)\}/.exec(source)?.[1] ?? "";
  const names = [...body.matchAll(/^\s*k(\w+),/gm)].map(([, name = ""]) => name).filter((name) => name !== "Count");
  const camel = abi.pins.map(({ name }) =>
    name
      .split("_")
      .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
      .join(""),
  );
  assert.deepEqual(camel, names);
});
