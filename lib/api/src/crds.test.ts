import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { parse } from "yaml";
import { z } from "zod";
import { customResourceDefinition, definitions } from "./crds.ts";
import { type Reason, reasons } from "./events.ts";
import { gpuNodeStatus } from "./gpu-node.ts";
import { annotations } from "./names.ts";
import { policyConditions } from "./policy/conditions.ts";
import { memoryQuantity, ratioText, shortMemory } from "./quantity.ts";
import { type JsonSchema, structuralProblems, structuralSchema } from "./structural.ts";

const root = join(import.meta.dirname, "../../..");

interface Crd {
  metadata: { name: string };
  spec: {
    names: { shortNames: string[]; categories: string[] };
    versions: { additionalPrinterColumns: { jsonPath: string }[]; schema: { openAPIV3Schema: JsonSchema } }[];
  };
}

const checkedIn = readdirSync(join(root, "crds")).map(
  (name) => parse(readFileSync(join(root, "crds", name), "utf8")) as Crd,
);

test("crds/ has each definition, and nothing else", () => {
  assert.deepEqual(
    checkedIn,
    definitions.map((definition) => JSON.parse(JSON.stringify(customResourceDefinition(definition)))),
  );
});

for (const crd of checkedIn) {
  test(`${crd.metadata.name}: structural, every field described, columns lead to fields`, () => {
    for (const { schema, additionalPrinterColumns } of crd.spec.versions) {
      assert.deepEqual(structuralProblems(schema.openAPIV3Schema), ["schema.metadata has no description"]);
      for (const { jsonPath } of additionalPrinterColumns) {
        assert.ok(fieldAt(schema.openAPIV3Schema, jsonPath), `${jsonPath} is no field`);
      }
    }
    assert.deepEqual(crd.spec.names.categories, ["loretoken"]);
    assert.ok(crd.spec.names.shortNames.length > 0);
  });
}

/** By steps; `[?(@.type=="X")]` is the condition X, which must be one that there is. */
function fieldAt(schema: JsonSchema, jsonPath: string): unknown {
  if (jsonPath === ".metadata.creationTimestamp") return "every object has it";
  const steps = jsonPath.match(/\[\?\(@\.type=="\w+"\)\]|\w+/g) ?? [];
  return steps.reduce<JsonSchema | undefined>((at, step) => {
    const [, type] = /"(\w+)"/.exec(step) ?? [];
    if (type !== undefined) return type in policyConditions ? (at?.items as JsonSchema) : undefined;
    return (at?.properties as Record<string, JsonSchema> | undefined)?.[step];
  }, schema);
}

test("descriptions are whole sentences, defaults of single values are in them", () => {
  const visit = (schema: JsonSchema, at: string): void => {
    const { description, default: fallback, type, properties, items } = schema;
    if (description !== undefined) assert.match(String(description), /^[A-Z].*\.$/s, at);
    if (fallback !== undefined && type !== "object")
      assert.match(String(description), RegExp(`Default: ${fallback}`), at);
    for (const [name, property] of Object.entries(properties ?? {})) visit(property as JsonSchema, `${at}.${name}`);
    if (items !== undefined) visit(items as JsonSchema, `${at}[]`);
  };
  for (const { spec } of checkedIn) {
    for (const { schema } of spec.versions) visit(schema.openAPIV3Schema, spec.names.shortNames[0] ?? "");
  }
});

const forbidden: [string, z.ZodType, RegExp][] = [
  ["a union", z.object({ a: z.union([z.string(), z.number()]).describe("x") }), /schema\.a has anyOf/],
  ["a field without description", z.object({ a: z.string() }), /schema\.a has no description/],
  ["a list without list type", z.object({ a: z.array(z.string()).describe("x") }), /array without list type/],
  ["any value", z.object({ a: z.any().describe("x") }), /schema\.a has no type/],
  [
    "a map list whose key may be missing",
    z.object({
      a: z
        .array(z.object({ k: z.string().describe("x").optional() }).describe("x"))
        .meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"] })
        .describe("x"),
    }),
    /keys are not required/,
  ],
];
for (const [what, schema, message] of forbidden) {
  test(`${what} is refused when the CRD is generated`, () => {
    assert.throws(() => structuralSchema(schema.describe("x")), message);
  });
}

test("numbers keep their bounds and formats, times their format alone", () => {
  const schema = structuralSchema(
    z
      .object({
        small: z.int32().min(0).describe("x"),
        large: z.int().describe("x"),
        at: z.iso.datetime().describe("x"),
        share: z.number().gt(0).max(1).describe("x"),
      })
      .describe("x"),
  );
  assert.deepEqual(schema.properties, {
    small: { type: "integer", format: "int32", minimum: 0, description: "x" },
    large: { type: "integer", format: "int64", description: "x" },
    at: { type: "string", format: "date-time", description: "x" },
    share: { type: "number", minimum: 0, exclusiveMinimum: true, maximum: 1, description: "x" },
  });
});

test("an empty status says what is missing, by name", () => {
  const parsed = gpuNodeStatus.safeParse({});
  assert.ok(!parsed.success);
  assert.ok(parsed.error.issues.some(({ path }) => path[0] === "gpus"));
});

test("every reason is UpperCamelCase and says what it is about, when, with which figures, what to do", () => {
  for (const [reason, facts] of Object.entries(reasons)) {
    assert.match(reason, /^([A-Z][a-z]+)+$/);
    assert.ok(facts.on.length > 0 && facts.when && facts.figures && facts.todo, reason);
  }
});

test("reference pages have every field, rule, reason and annotation", () => {
  const page = (name: string): string => readFileSync(join(root, `docs/reference/${name}.md`), "utf8");
  const policy = page("compressionpolicies");
  for (const text of [
    "| `spec.guardrails.thermal.maxCelsius` | integer |  | 30 to 120 |",
    "| `spec.verify` | string | `always` | `always`, `sample`, `off` |",
    "| `spec.podSelector.matchExpressions[].operator` | string | required |",
    "- `spec.guardrails.power`: exactly one of maxWatts and maxPercent must be given.",
    "- `spec.podSelector.matchExpressions[]`: values must be given for In and NotIn",
    "| `status.nodesBehind.count` |",
    ...Object.values(policyConditions).flatMap(({ reasons: known }) =>
      Object.keys(known).map((one) => `| \`${one}\` |`),
    ),
  ]) {
    assert.ok(policy.includes(text), text);
  }
  assert.ok(page("gpunodes").includes("| `status.gpus[].containers[].mode` |"));
  for (const name of Object.values(annotations)) assert.ok(page("annotations").includes(`| \`${name}\` |`), name);
});

test("docs/reference/events.md lists every reason", () => {
  const text = readFileSync(join(root, "docs/reference/events.md"), "utf8");
  for (const reason of Object.keys(reasons) as Reason[]) assert.ok(text.includes(`| \`${reason}\` |`), reason);
});

test("memory as quantities, rounded to MiB, and for a column", () => {
  assert.deepEqual([0n, -5n, 1n << 19n, 1n << 30n, 3n << 29n, 40n << 30n].map(memoryQuantity), [
    "0",
    "0",
    "1Mi",
    "1Gi",
    "1536Mi",
    "40Gi",
  ]);
  assert.equal(memoryQuantity(1.4 * 2 ** 20), "1Mi");
  assert.deepEqual([0, 2 ** 29, 1.5 * 2 ** 30, 40 * 2 ** 30, 141.2 * 2 ** 30].map(shortMemory), [
    "0Mi",
    "512Mi",
    "1.5Gi",
    "40Gi",
    "141Gi",
  ]);
  assert.deepEqual([ratioText(3, 2), ratioText(3, 0)], ["1.50", ""]);
});
